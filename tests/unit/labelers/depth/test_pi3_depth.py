import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from labelers import kind_of, make_labeler
from networks import build_model
from networks.weights import TrainingOrigin, TrainingSource, save_weights
from pipeline.errors import ConfigError
from pipeline.records import ClipFrames, FramesInMemory
from tests.tiny_network import TINY

SIZE = (28, 42)
BUDGET = SIZE[0] * SIZE[1]


@pytest.fixture(scope="module", params=["pi3", "trajvg"])
def checkpoint(request, tmp_path_factory):
    path = str(tmp_path_factory.mktemp(request.param) / "tiny.safetensors")
    save_weights(path, build_model(request.param, TINY), license="CC0")
    return request.param, path


def clip_of(size: tuple[int, int], num_frames: int = 3) -> ClipFrames:
    frames = np.random.default_rng(0).integers(0, 256, (num_frames, *size, 3)).astype(np.uint8)
    return ClipFrames(key="a", reader=FramesInMemory(frames), queries=np.zeros((0, 3), np.float32))


def test_depth_is_z_of_each_frames_own_points_and_confidence_the_networks(checkpoint):
    name, path = checkpoint
    labeler, clip = make_labeler("pi3-depth", checkpoint=path, pixel_budget=BUDGET), clip_of(SIZE)
    (labels,) = labeler.label([clip])
    images = torch.from_numpy(clip.array()).permute(0, 3, 1, 2)[None] / 255
    with torch.no_grad():
        model = build_model(name, TINY).eval()
        expected = model(images) if name == "pi3" else model.geometry(images).output
    z = expected.local_points[0, ..., 2].numpy()
    assert (z > 0).all()
    np.testing.assert_allclose(labels.depth, z, rtol=1e-4)
    np.testing.assert_allclose(labels.confidence, 1 / (1 + np.exp(-expected.conf[0, ..., 0].numpy())), rtol=1e-4)
    assert (kind_of(labeler), labels.scale) == ("depth", "relative")


def test_any_size_is_labelled_and_provenance_says_by_what(checkpoint):
    name, path = checkpoint
    labeler = make_labeler("pi3-depth", checkpoint=path, pixel_budget=BUDGET)
    (labels,) = labeler.label([clip_of((30, 50), 2)])
    assert labels.depth.shape == labels.confidence.shape == (2, 30, 50)
    made = labeler.provenance()
    assert made.checkpoint_sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert (made.options, made.license) == ({"network": name, "pixel_budget": BUDGET}, "CC0")
    assert made.facts["depth_scale"] == "relative"


def test_a_network_of_our_training_hands_on_what_it_was_made_of(tmp_path):
    origin = TrainingOrigin(sources=(TrainingSource(dataset="walks", labels=("dis-flow-1a2b3c4d",)),), licenses=("CC BY 4.0",))
    path = str(tmp_path / "trained.safetensors")
    save_weights(path, build_model("pi3", TINY), license="CC0", origin=origin)
    made = make_labeler("pi3-depth", checkpoint=path, pixel_budget=BUDGET).provenance()
    assert made.license == "CC0; CC BY 4.0"
    assert made.parents == {"sources": [{"dataset": "walks", "labels": ["dis-flow-1a2b3c4d"], "audit": None}], "licenses": ["CC BY 4.0"]}


def test_a_budget_below_one_patch_and_another_network_are_refused(checkpoint, tmp_path):
    with pytest.raises(ConfigError, match="holds no patch of 14 x 14"):
        make_labeler("pi3-depth", checkpoint=checkpoint[1], pixel_budget=100)
    with pytest.raises(ConfigError):
        make_labeler("pi3-depth", checkpoint=checkpoint[1], sha256="0" * 64)
