"""Whole models against vectors of the public code. Tolerances: see tests/golden/cotracker3/README.md."""

import numpy as np
import pytest
import torch

from networks.cotracker3.correlation import correlation_embedding
from networks.cotracker3.models import CoTracker3Output, open_video
from networks.cotracker3.network import resample_time
from networks.cotracker3.refinement import TrackState, online_windows, refine, tokens


def video_of(expected, num_frames=None):
    return torch.from_numpy(expected["video_u8"][:num_frames])[None].float()


def close_output(output, expected, *, prefix="", px=5e-4, probability=2e-5):
    np.testing.assert_allclose(output.tracks, expected[f"{prefix}tracks"], rtol=0, atol=px)
    for name in ("visibility", "confidence"):
        np.testing.assert_allclose(getattr(output, name), expected[f"{prefix}{name}"], rtol=0, atol=probability)


def test_offline_8_frames_every_iteration(golden, filled_model):
    expected, model = golden("offline_T8"), filled_model("offline")
    queries = torch.from_numpy(expected["queries"])
    stretch, state = open_video(model, video_of(expected), queries)
    for iteration, after in enumerate(refine(model, stretch, state, iterations=4)):
        if iteration < 2:
            rows, patches = stretch.rows.expand(5, -1), tuple(patch[0] for patch in stretch.patches)
            now = TrackState(state.cells[0], state.visibility[0], state.confidence[0])
            embedding = correlation_embedding(model.corr_mlp, stretch.features, rows=rows, patches=patches, cells=now.cells)
            seen = (tokens(model, now, embedding) + resample_time(model.time_emb, 8))[[0, 2]][:, [0, 5]]
            np.testing.assert_allclose(seen, expected[f"token_iter{iteration}"], rtol=0, atol=1e-3)
        output, state = CoTracker3Output.of_state(after), after
        np.testing.assert_allclose(output.tracks, expected["tracks_all"][iteration], rtol=0, atol=5e-4)
        np.testing.assert_allclose(output.visibility, expected["visibility_all"][iteration], rtol=0, atol=2e-5)
        np.testing.assert_allclose(output.confidence, expected["confidence_all"][iteration], rtol=0, atol=2e-5)
    close_output(model(video_of(expected), queries, iters=4), expected)


def test_offline_where_the_model_resolution_is_not_the_frames_size(golden, filled_model):
    clip, expected = golden("offline_T8"), golden("offline_misc")
    model = filled_model("offline", (384, 512))
    close_output(model(video_of(clip), torch.from_numpy(clip["queries"]), iters=2), expected, prefix="a_")


def test_offline_a_single_frame(golden, filled_model):
    clip, expected = golden("offline_T8"), golden("offline_misc")
    output = filled_model("offline")(video_of(clip, 1), torch.from_numpy(clip["queries"][:, :2]), iters=2)
    close_output(output, expected, prefix="b_")


def test_offline_more_frames_than_the_time_embedding_has_rows(golden, filled_model):
    expected = golden("offline_T70")
    output = filled_model("offline", (32, 48))(video_of(expected), torch.from_numpy(expected["queries"]), iters=2)
    close_output(output, expected)


def test_online_whole_video_window_by_window(golden, filled_model):
    expected, model = golden("online_T36"), filled_model("online", (64, 96))
    queries = torch.from_numpy(expected["queries"])
    stretch, rest = open_video(model, video_of(expected), queries)
    windows = online_windows(model, stretch, rest, query_frames=queries[..., 0].long(), iterations=4)
    found = [CoTracker3Output.of_state(state) for state in windows]
    assert len(found) == 4
    for number in (0, 1, 3):
        last = expected[f"window{number}_tracks_all"][-1]
        seen = found[number].tracks[:, 8 * number : 8 * number + last.shape[1]]
        np.testing.assert_allclose(seen, last, rtol=0, atol=1.5e-3)
    for name in ("visibility", "confidence"):
        np.testing.assert_allclose(getattr(found[1], name)[:, 8:24], expected[f"window1_{name}_all"][-1], rtol=0, atol=5e-5)
    close_output(found[-1], expected, px=1.5e-3, probability=5e-5)


@pytest.mark.parametrize(("num_frames", "num_queries"), [(8, 3), (12, 4), (16, 4)])
def test_online_short_videos(num_frames, num_queries, golden, filled_model):
    expected = golden("online_T36")
    queries = torch.from_numpy(expected["queries"][:, :num_queries])
    output = filled_model("online", (64, 96))(video_of(expected, num_frames), queries, iters=2)
    close_output(output, expected, prefix=f"short{num_frames}_", px=1.5e-3, probability=5e-5)


def test_a_batch_of_three_is_three_times_one(golden, filled_model):
    clip, model = golden("offline_T8"), filled_model("offline")
    rng = np.random.default_rng(3)
    videos = torch.cat([video_of(clip), video_of(clip).flip(1), video_of(clip).flip(-1)])
    queries = torch.from_numpy(np.stack([np.column_stack([rng.integers(0, 8, 7), rng.uniform(5, 90, (7, 2))]) for _ in range(3)])).float()
    together = model(videos, queries, iters=1)
    for number in range(3):
        alone = model(videos[number : number + 1], queries[number : number + 1], iters=1)
        np.testing.assert_allclose(together.tracks[number], alone.tracks[0], rtol=0, atol=1e-4)
        np.testing.assert_allclose(together.visibility[number], alone.visibility[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(together.confidence[number], alone.confidence[0], rtol=0, atol=1e-5)


@pytest.mark.soak
def test_an_online_batch_of_three_is_three_times_one(golden, filled_model):
    clip, model = golden("online_T36"), filled_model("online", (64, 96))
    videos = torch.cat([video_of(clip, 20), video_of(clip, 20).flip(1), video_of(clip, 20).flip(-1)])
    queries = torch.from_numpy(np.tile(clip["queries"][:, :4], (3, 1, 1)))
    queries[1, 0, 0], queries[2, 1, 0] = 18, 9
    together = model(videos, queries, iters=1)
    for number in range(3):
        alone = model(videos[number : number + 1], queries[number : number + 1], iters=1)
        np.testing.assert_allclose(together.tracks[number], alone.tracks[0], rtol=0, atol=1e-4)
