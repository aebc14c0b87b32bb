"""What a small network is asked for by protocols: sizes, single images, and tracks from their own frames."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from networks import build_model
from pipeline.errors import ConfigError
from tests.tiny_network import TINY
from tests.unit.trainer.evaluation.worlds import H, N, T, W, true_sample
from trainer.evaluation import EvaluationSettings, choose_tracks, measure_clip
from trainer.evaluation.predicting import model_size, predict_clip
from trainer.inference import predict

SIZE = (H, W)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("trajvg", TINY)


def sample():
    frames = np.random.default_rng(3).integers(0, 256, (T, H, W, 3), dtype=np.uint8)
    found = true_sample(frames=frames, query_frame=np.array([0] * 8 + [2] * 7 + [-1] * 5, np.int32))
    found.visibility[2] = True
    return found


@pytest.mark.parametrize(
    ("stored", "long_side", "expected"),
    [
        ((480, 640), 518, (392, 518)),  # 27.75 patches of 14 high
        ((480, 640), 512, (378, 518)),  # 27.4 high, 36.6 wide
        ((436, 1024), 512, (224, 518)),
        ((640, 480), 518, (518, 392)),
        ((375, 1242), 512, (154, 518)),
    ],
)
def test_a_long_side_is_rounded_to_whole_patches(stored, long_side, expected):
    assert model_size(stored, EvaluationSettings(long_side=long_side), patch=14) == expected


def test_tracks_come_from_their_own_frames_and_geometry_does_not_depend_on_which(model):
    clip = sample()
    settings = EvaluationSettings(protocols=("tracks3d",), queries="own", num_tracks=None)
    chosen = choose_tracks(clip, SIZE, at_most=None, queries="own")
    assert chosen.index.tolist() == [*range(15)]  # of five the query is not in the clip
    np.testing.assert_allclose(chosen.queries[8:], clip.tracks2d[2, 8:15], rtol=1e-6)
    found = predict_clip(model, clip.frames, chosen, settings, size=SIZE)
    plain = predict(model, clip.frames, chosen.queries[:8])
    np.testing.assert_allclose(found.tracks.camera[:, :8], plain.tracks.camera, atol=1e-5)
    order = [2, 0, 1, 3]
    third = predict(model, clip.frames[order], chosen.queries[8:])
    np.testing.assert_allclose(found.tracks.camera[order, 8:], third.tracks.camera, atol=1e-5)
    np.testing.assert_allclose(found.tracks.visibility_score[order, 8:], third.tracks.visibility_score, atol=1e-5)
    np.testing.assert_allclose(found.local_points[order], third.local_points, atol=1e-4)  # one geometry, whichever frame is first
    assert measure_clip(found, clip, chosen, settings).num_tracks == 15


def test_single_images_are_predicted_one_by_one(model):
    clip = sample()
    settings = EvaluationSettings(protocols=("single_images",))
    found = predict_clip(model, clip.frames, None, settings, size=SIZE)
    for frame in (0, 3):
        np.testing.assert_allclose(found.depth[frame], predict(model, clip.frames[frame : frame + 1]).depth[0], rtol=1e-4)
    together = predict(model, clip.frames)
    assert np.abs(found.depth - together.depth).max() > 1e-3
    empty = clip.depth.copy()
    empty[1] = 0
    scores = measure_clip(found, replace(clip, depth=empty), None, settings)
    by_hand = [  # of each image with truth: one scale, of the medians
        np.abs(depth * np.sort(true.ravel())[(H * W - 1) // 2] / np.sort(depth.ravel())[(H * W - 1) // 2] - true) / true
        for depth, true in zip(found.depth[[0, 2, 3]], clip.depth[[0, 2, 3]], strict=True)
    ]
    assert scores.values["abs_rel_median"] == pytest.approx(np.mean(by_hand), rel=1e-4)
    assert scores.valid_pixels == 3 * H * W
    blind = measure_clip(found, replace(clip, depth=None), None, settings)
    assert blind.undefined["abs_rel_median"] == "no true depth"


def test_settings_that_exclude_one_another_are_refused():
    with pytest.raises(ConfigError, match="single_images shows the model one frame at a time; measure single_images, poses apart"):
        EvaluationSettings(protocols=("single_images", "poses"))
    with pytest.raises(ConfigError, match="queries is 'all', expected first or own"):
        EvaluationSettings(queries="all")
    with pytest.raises(ConfigError, match="geometry of its own"):
        EvaluationSettings(queries="own", geometry="truth")


def test_tracks_asked_in_the_first_frame_are_one_pass(model):
    clip = sample()
    chosen = choose_tracks(clip, SIZE, at_most=None)
    assert len(chosen.index) == N
    found = predict_clip(model, clip.frames, chosen, EvaluationSettings(), size=SIZE)
    np.testing.assert_array_equal(found.tracks.camera, predict(model, clip.frames, chosen.queries).tracks.camera)
