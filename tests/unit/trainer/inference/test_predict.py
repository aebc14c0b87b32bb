"""One pass of a fresh network over a video."""

import numpy as np
import pytest
import torch

from networks import build_model
from pipeline.errors import ConfigError, DataError
from tests.tiny_network import TINY
from trainer.inference import predict

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 56, 70, 3), dtype=np.uint8)
QUERIES = np.array([[5.0, 7.5], [60.0, 40.0]], np.float32)


@pytest.fixture(scope="module")
def trajvg():
    return build_model("trajvg", TINY)


def test_geometry_and_tracks_are_one_world(trajvg):
    prediction = predict(trajvg, FRAMES, QUERIES)
    assert prediction.tracks is not None
    assert prediction.tracks.world.shape == (3, 2, 3)
    rotation, centre = prediction.camera_to_world[:, :3, :3], prediction.camera_to_world[:, :3, 3]
    points = np.einsum("tij,thwj->thwi", rotation, prediction.local_points) + centre[:, None, None]
    np.testing.assert_allclose(prediction.points, points, atol=1e-4)
    tracks = np.einsum("tij,tnj->tni", rotation, prediction.tracks.camera) + centre[:, None]
    np.testing.assert_allclose(prediction.tracks.world, tracks, atol=1e-4)
    assert ((prediction.confidence > 0) & (prediction.confidence < 1)).all()
    assert (prediction.depth > 0).all()


def test_pixels_go_in_as_fractions_of_white(trajvg):
    images = torch.from_numpy(FRAMES).permute(0, 3, 1, 2)[None].float() / 255
    with torch.no_grad():
        expected = trajvg(images, torch.from_numpy(QUERIES)[None]).local_points[0]
    np.testing.assert_allclose(predict(trajvg, FRAMES, QUERIES).local_points, expected.numpy(), rtol=1e-5)


def test_without_queries_or_tracker_there_is_geometry_alone(trajvg):
    assert predict(trajvg, FRAMES).tracks is None
    np.testing.assert_array_equal(predict(trajvg, FRAMES).points, predict(trajvg, FRAMES, QUERIES).points)
    assert predict(build_model("pi3", TINY), FRAMES, QUERIES).tracks is None


def test_the_model_is_left_as_it_was(trajvg):
    assert trajvg.training
    predict(trajvg, FRAMES)
    assert trajvg.training
    assert all(parameter.grad is None for parameter in trajvg.parameters())


def test_bfloat16_is_near_float32(trajvg):
    whole, half = predict(trajvg, FRAMES), predict(trajvg, FRAMES, precision="bfloat16")
    ratio = half.depth / whole.depth
    assert 1e-4 < np.abs(ratio - 1).mean() < 0.05


def test_what_is_not_finite_is_refused():
    broken = build_model("trajvg", TINY)
    with torch.no_grad():
        broken.camera_head.fc_t.bias[0] = float("nan")
    with pytest.raises(DataError, match="earlier checkpoint"):
        predict(broken, FRAMES)


def test_an_unknown_precision_is_refused(trajvg):
    with pytest.raises(ConfigError, match="bfloat16"):
        predict(trajvg, FRAMES, precision="half")
