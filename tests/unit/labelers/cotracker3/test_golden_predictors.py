"""The engine, in pixels of the input, against the public predictors. Tolerances: see tests/golden/cotracker3/README.md."""

import numpy as np
import pytest
import torch

from labelers.cotracker3 import CoTracker3Engine, EngineConfig
from labelers.cotracker3.engine import pixel_scale, regular_grid, to_model_frames
from labelers.cotracker3.passes import track_clips
from networks.cotracker3.models import CoTracker3Output


def frames_of(expected, num_frames=None):
    return np.ascontiguousarray(expected["video_u8"][:num_frames].transpose(0, 2, 3, 1))


def grid_queries(points, t, size, model):
    """Points in model pixels as queries in pixels of the input."""
    return np.column_stack([np.full(len(points), t), points / pixel_scale(size, model.model_resolution)]).astype(np.float32)


def inside_mask(points, mask, size):
    """Points (x, y) in pixels of `size` that lie on a mask of another size, by the public predictor's nearest resize."""
    rows, columns = (np.arange(target) * source // target for target, source in zip(size, mask.shape, strict=True))
    x, y = np.rint(points).astype(int).T
    return mask[np.ix_(rows, columns)][y, x] != 0


def check_predictor(tracks, queries, expected, name):
    np.testing.assert_allclose(tracks.tracks_px, expected[f"{name}_tracks"][0], rtol=0, atol=1e-3)
    assert (tracks.labels(queries, "predictor").visibility == expected[f"{name}_visibility"][0]).all()


def test_frames_are_resized_as_the_predictor_does(golden, filled_model):
    expected = golden("predictor_offline")
    resized = to_model_frames(frames_of(expected, 1), filled_model("offline"))
    np.testing.assert_allclose(resized[0], expected["resized_frame0"], rtol=0, atol=1e-4)


def test_grids(golden):
    expected = golden("predictor_offline")
    for found, name in (
        (regular_grid(6, (96, 128)), "support_grid_6x6"),
        (regular_grid(1, (96, 128)), "grid_1"),
        (regular_grid(5, (384, 512)), "grid_5_384x512"),
        (regular_grid(4, (50, 50), center=(30, 40)), "grid_4_center"),
    ):
        np.testing.assert_allclose(found, expected[name][0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("backward", "together"), [(False, False), (True, True)])
def test_offline_predictor_on_queries(backward, together, golden, filled_model):
    expected = golden("predictor_offline")
    engine = CoTracker3Engine(filled_model("offline"), EngineConfig(directions_together=together, frames_at_once=3))
    queries = expected["queries"][0]
    tracks = engine.track(frames_of(expected), queries, backward=backward)
    check_predictor(tracks, queries, expected, "queries_backward" if backward else "queries")
    if not backward:
        count = len(queries)
        np.testing.assert_allclose(tracks.visibility, expected["queries_model_visibility"][0, :, :count], rtol=0, atol=2e-5)
        np.testing.assert_allclose(tracks.confidence, expected["queries_model_confidence"][0, :, :count], rtol=0, atol=2e-5)


def test_offline_model_outputs_with_support_points(golden, filled_model):
    expected, model = golden("predictor_offline"), filled_model("offline")
    engine = CoTracker3Engine(model)
    clips = engine.encode([frames_of(expected)])
    queries = expected["queries"][0] * np.array([1, *pixel_scale(clips.sizes[0], (96, 128))], np.float32)
    support = np.column_stack([np.zeros(36), regular_grid(6, (96, 128))])
    points = torch.from_numpy(np.concatenate([queries, support])[None]).float()
    with torch.inference_mode():
        output = CoTracker3Output.of_state(track_clips(model, clips, points, config=engine.config, backward=False))
    np.testing.assert_allclose(output.tracks, expected["queries_model_tracks"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(output.visibility, expected["queries_model_visibility"], rtol=0, atol=2e-5)
    np.testing.assert_allclose(output.confidence, expected["queries_model_confidence"], rtol=0, atol=2e-5)


@pytest.mark.parametrize(("name", "t"), [("grid3", 0), ("grid3_frame5_backward", 5)])
def test_offline_predictor_on_a_plain_grid(name, t, golden, filled_model):
    expected, model = golden("predictor_offline"), filled_model("offline")
    queries = grid_queries(regular_grid(3, model.model_resolution), t, (160, 120), model)
    tracks = CoTracker3Engine(model, EngineConfig(support_grid=0)).track(frames_of(expected), queries, backward=t > 0)
    check_predictor(tracks, queries, expected, name)


def test_offline_predictor_on_a_grid_in_a_mask(golden, filled_model):
    expected, model = golden("predictor_offline"), filled_model("offline")
    grid = regular_grid(4, model.model_resolution)
    kept = grid[inside_mask(grid, expected["segm_mask"][0, 0], model.model_resolution)]
    queries = grid_queries(kept, 0, (160, 120), model)
    tracks = CoTracker3Engine(model).track(frames_of(expected), queries, backward=False)
    check_predictor(tracks, queries, expected, "grid4_mask")


def test_offline_predictor_at_its_own_resolution(golden, filled_model):
    expected = golden("predictor_offline_384x512")
    queries = expected["queries"][0]
    tracks = CoTracker3Engine(filled_model("offline", (384, 512))).track(frames_of(golden("predictor_offline"), 5), queries, backward=False)
    np.testing.assert_allclose(tracks.tracks_px, expected["tracks"][0], rtol=0, atol=1e-3)
    np.testing.assert_allclose(tracks.visibility[:, :3], expected["model_visibility_first3"][0], rtol=0, atol=2e-5)
    assert (tracks.labels(queries, "predictor").visibility == expected["visibility"][0]).all()


def visible_by_product(tracks):
    return tracks.visibility * tracks.confidence > 0.6


def test_online_predictor_chunk_by_chunk(golden, filled_model):
    expected = golden("predictor_online")
    engine = CoTracker3Engine(filled_model("online", (64, 96)), EngineConfig(support_grid=0))
    seen = [tracks for (tracks,) in engine.stream([frames_of(expected)], [expected["queries"][0]])]
    assert len(seen) == 3
    for number, tracks in enumerate(seen):
        np.testing.assert_allclose(tracks.tracks_px, expected[f"chunk{number}_tracks"][0], rtol=0, atol=1.5e-3)
        assert (visible_by_product(tracks) == expected[f"chunk{number}_visibility"][0]).all()
    np.testing.assert_allclose(seen[-1].visibility, expected["model_visibility"][0], rtol=0, atol=5e-5)
    np.testing.assert_allclose(seen[-1].confidence, expected["model_confidence"][0], rtol=0, atol=5e-5)


@pytest.mark.soak
@pytest.mark.parametrize(("name", "side", "tolerance"), [("support", 6, 1.5e-3), ("grid2_frame3", 0, 3e-3)])
def test_online_predictor_with_support_grid_or_with_a_grid_on_a_later_frame(name, side, tolerance, golden, filled_model):
    expected, model = golden("predictor_online"), filled_model("online", (64, 96))
    grid = grid_queries(regular_grid(2, model.model_resolution), 3, (60, 80), model)
    queries = expected["queries"][0] if name == "support" else grid
    *_, (tracks,) = CoTracker3Engine(model, EngineConfig(support_grid=side)).stream([frames_of(expected)], [queries])
    np.testing.assert_allclose(tracks.tracks_px, expected[f"{name}_tracks"][0], rtol=0, atol=tolerance)
    assert (visible_by_product(tracks) == expected[f"{name}_visibility"][0]).all()


@pytest.mark.soak  # as chunk by chunk, with other chunks
def test_streaming_calls_of_the_online_model(golden, filled_model):
    expected = golden("online_T36")
    engine = CoTracker3Engine(filled_model("online", (64, 96)), EngineConfig(support_grid=0, iterations=4))
    seen = [tracks for (tracks,) in engine.stream([frames_of(expected)], [expected["queries"][0]])]
    assert len(seen) == 4
    for number, tracks in enumerate(seen):
        np.testing.assert_allclose(tracks.tracks_px, expected[f"stream{number}_tracks"][0], rtol=0, atol=1.5e-3)
        np.testing.assert_allclose(tracks.visibility, expected[f"stream{number}_visibility"][0], rtol=0, atol=5e-5)
        np.testing.assert_allclose(tracks.confidence, expected[f"stream{number}_confidence"][0], rtol=0, atol=5e-5)


def test_the_engine_tracks_a_clip_of_8_frames_with_the_online_model(golden, filled_model):
    """The public whole-video call gives zeros there; the streaming call tracks, and so does the engine, either way."""
    expected = golden("online_T36")
    engine = CoTracker3Engine(filled_model("online", (64, 96)), EngineConfig(support_grid=0, iterations=2))
    queries = expected["queries"][0][:3]
    whole = engine.track(frames_of(expected, 8), queries, backward=False)
    ((streamed,),) = engine.stream([frames_of(expected, 8)], [queries])
    np.testing.assert_allclose(streamed.through_queries(queries).tracks_px, whole.tracks_px, rtol=0, atol=2e-3)
    assert np.ptp(whole.tracks_px, axis=0).min() > 0
