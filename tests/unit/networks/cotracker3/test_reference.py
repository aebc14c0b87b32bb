"""The plain reference against the recorded outputs of the public code: so it may stand for it where ours is compared."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.cotracker3_reference import ReferenceOffline, ReferenceOnline, StreamState
from benchmarks.cotracker3_reference_predictor import ReferencePredictor, support_queries, track_stream
from benchmarks.formula_weights import fill_by_formula

GOLDEN = Path(__file__).parents[3] / "golden" / "cotracker3"


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the maps are too small for more to help
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def offline():
    return _filled(ReferenceOffline())


@pytest.fixture(scope="module")
def online():
    return _filled(ReferenceOnline())


def _filled(model):
    fill_by_formula(model)
    return model.eval().requires_grad_(False)


def _load(name):
    with np.load(GOLDEN / name) as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    return arrays | {"video": arrays["video_u8"][None].float()} if "video_u8" in arrays else arrays


def _check(found, golden, prefix="", *, tracks, probabilities):
    for field, tolerance in (("tracks", tracks), ("visibility", probabilities), ("confidence", probabilities)):
        torch.testing.assert_close(getattr(found, field), golden[prefix + field], rtol=0, atol=tolerance)


@pytest.mark.parametrize("variant", ["offline", "online"])
def test_it_has_the_public_names_and_shapes(variant, request):
    recorded = json.loads((GOLDEN / f"state_dict_{variant}.json").read_text())["state_dict"]
    state = request.getfixturevalue(variant).state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == {name: entry["shape"] for name, entry in recorded.items()}


def test_the_offline_model_tracks_eight_frames_as_recorded(offline):
    offline.model_resolution, golden = (96, 128), _load("offline_T8.npz")
    _check(offline(golden["video"], golden["queries"], iters=4), golden, tracks=5e-4, probabilities=2e-5)


def test_a_single_frame_is_tracked_as_recorded(offline):
    offline.model_resolution, clip, golden = (96, 128), _load("offline_T8.npz"), _load("offline_misc.npz")
    _check(offline(clip["video"][:, :1], clip["queries"][:, :2], iters=2), golden, "b_", tracks=5e-4, probabilities=2e-5)


@pytest.mark.soak
def test_the_online_model_tracks_a_whole_video_as_recorded(online):
    online.model_resolution, golden = (64, 96), _load("online_T36.npz")
    _check(online(golden["video"], golden["queries"], iters=4), golden, tracks=1.5e-3, probabilities=5e-5)
    short = online(golden["video"][:, :8], golden["queries"][:, :3], iters=2)
    _check(short, golden, "short8_", tracks=0, probabilities=0)


@pytest.mark.soak
def test_the_predictor_gives_the_recorded_tracks_and_booleans_in_both_directions(offline):
    offline.model_resolution, golden = (96, 128), _load("predictor_offline.npz")
    found = ReferencePredictor(offline).track(golden["video"], golden["queries"], backward=True)
    torch.testing.assert_close(found.tracks, golden["queries_backward_tracks"], rtol=0, atol=1e-3)
    frames, query_frames = torch.arange(10)[None, :, None], golden["queries"][:, None, :, 0].long()
    assert torch.equal((found.visibility > 0.9) | (frames == query_frames), golden["queries_backward_visibility"])
    forward = frames >= query_frames
    recorded = golden["queries_model_confidence"][:, :, :4]
    torch.testing.assert_close(found.confidence[forward], recorded[forward], rtol=0, atol=2e-5)


def test_the_support_points_are_the_recorded_grid():
    recorded = _load("predictor_offline.npz")["support_grid_6x6"]
    torch.testing.assert_close(support_queries((96, 128)), torch.nn.functional.pad(recorded, (1, 0)))


@pytest.mark.soak
def test_the_online_predictor_gives_the_recorded_tracks_and_booleans(online):
    online.model_resolution, golden = (64, 96), _load("predictor_online.npz")
    found = track_stream(online, golden["video"][:, :24], golden["queries"], state=StreamState())
    torch.testing.assert_close(found.tracks, golden["chunk1_tracks"], rtol=0, atol=1.5e-3)
    assert torch.equal(found.visibility * found.confidence > 0.6, golden["chunk1_visibility"])
