import hashlib
import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from labelers import kind_of, make_labeler
from pipeline.errors import ConfigError
from pipeline.records import ClipFrames, FramesInMemory
from tests.depth_checkpoint import SIDE, write_depth_checkpoint

NAME = "transformers-depth"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_depth_checkpoint(tmp_path_factory.mktemp("metric") / "tiny")


def clip_of(frames: np.ndarray, key: str = "a") -> ClipFrames:
    return ClipFrames(key=key, reader=FramesInMemory(frames), queries=np.zeros((0, 3), np.float32))


def frames_of(num_frames: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, *size, 3)).astype(np.uint8)


def altered(checkpoint, folder, **entries):
    """A copy of the checkpoint with other entries in its config.json."""
    copy = shutil.copytree(checkpoint, folder)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | entries))
    return copy


def predicted(checkpoint, frames: np.ndarray) -> np.ndarray:
    """What the network gives of frames that need no resize, one by one, as transformers loads it."""
    from transformers import AutoModelForDepthEstimation

    model = AutoModelForDepthEstimation.from_pretrained(checkpoint).eval()
    images = (frames / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.no_grad():
        return np.stack([model(torch.tensor(image).permute(2, 0, 1)[None].float()).predicted_depth[0].numpy() for image in images])


def test_metric_depth_is_what_the_network_gives(checkpoint):
    labeler = make_labeler(NAME, checkpoint=str(checkpoint))
    frames = frames_of(5, (SIDE, SIDE))
    (labels,) = labeler.label([clip_of(frames)])
    np.testing.assert_allclose(labels.depth, predicted(checkpoint, frames), rtol=1e-4, atol=1e-4)
    assert labels.depth.std() > 0.01
    assert (kind_of(labeler), labels.scale, labels.confidence) == ("depth", "metric", None)


def test_inverse_depth_is_turned_over_and_what_is_infinitely_far_is_invalid(checkpoint, tmp_path):
    relative = altered(checkpoint, tmp_path / "relative", depth_estimation_type="relative")
    frames = frames_of(3, (SIDE, SIDE))
    (labels,) = make_labeler(NAME, checkpoint=str(relative)).label([clip_of(frames)])
    inverse = predicted(relative, frames)  # behind a ReLU: 0 where the random network has it below
    assert 0.02 < (inverse == 0).mean() < 0.98
    np.testing.assert_array_equal(labels.depth == 0, inverse == 0)
    np.testing.assert_allclose(labels.depth[inverse > 1e-3], 1 / inverse[inverse > 1e-3], rtol=1e-2)
    assert labels.scale == "inverse"


def test_any_size_comes_back_and_a_clip_does_not_depend_on_its_company(checkpoint):
    labeler = make_labeler(NAME, checkpoint=str(checkpoint), frames_at_once=2)
    clips = [clip_of(frames_of(3, (30, 52), seed), str(seed)) for seed in (1, 2)]
    together = labeler.label(clips)
    assert [labels.depth.shape for labels in together] == [(3, 30, 52)] * 2
    np.testing.assert_array_equal(together[1].depth, labeler.label(clips[1:])[0].depth)


def test_provenance_says_which_bytes_which_scale_and_how_it_is_known(checkpoint, tmp_path):
    sha256 = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    made = make_labeler(NAME, checkpoint=str(checkpoint), sha256=sha256, license="Apache-2.0").provenance()
    assert (made.name, made.checkpoint_sha256, made.license, made.visibility_rule) == (NAME, sha256, "Apache-2.0", None)
    assert made.facts == {"depth_scale": "metric", "depth_scale_from": "config.json: depth_estimation_type metric"}
    assert made.options["preprocessing"]["multiple"] == 14
    assert {"torch", "transformers"} <= set(made.versions)
    stated = make_labeler(NAME, checkpoint=str(checkpoint), scale="relative").provenance().facts
    assert stated == {"depth_scale": "relative", "depth_scale_from": "stated by the option scale"}
    with pytest.raises(ConfigError, match="expected 000"):
        make_labeler(NAME, checkpoint=str(checkpoint), sha256="0" * 64)
    unknown = altered(checkpoint, tmp_path / "unknown", model_type="tipsv2_dpt")
    with pytest.raises(ConfigError, match="nothing says whether a tipsv2_dpt predicts metric depth; state it with the option scale"):
        make_labeler(NAME, checkpoint=str(unknown))


def test_weights_that_are_not_there_are_not_drawn_at_random(checkpoint, tmp_path):
    copy = shutil.copytree(checkpoint, tmp_path / "lacking")
    weights = load_file(copy / "model.safetensors")
    weights.pop("head.conv3.weight")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lacks 1 weights of its network, the first is head.conv3.weight"):
        make_labeler(NAME, checkpoint=str(copy))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("preprocessor_config.json", "there is no file .*preprocessor_config.json"),
        ("model.safetensors", "from_pretrained and save_pretrained"),
    ],
)
def test_a_checkpoint_that_lacks_a_file_is_refused(checkpoint, tmp_path, missing, message):
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    (copy / missing).unlink()
    with pytest.raises(ConfigError, match=message):
        make_labeler(NAME, checkpoint=str(copy))


def test_another_network_and_no_checkpoint_are_refused(checkpoint, tmp_path):
    other = altered(checkpoint, tmp_path / "other", model_type="bert")
    with pytest.raises(ConfigError, match="is no depth estimator that transformers loads"):
        make_labeler(NAME, checkpoint=str(other), scale="metric")
    with pytest.raises(ConfigError, match="no such folder; give one that save_pretrained wrote, or a repository as OWNER/NAME"):
        make_labeler(NAME, checkpoint="/no/such/folder")


def test_without_transformers_the_extra_is_named(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"needs the package transformers .*\.venv/bin/pip install -e '\.\[depth\]'"):
        make_labeler(NAME, checkpoint=str(checkpoint))


def test_neither_torchvision_nor_pillow_is_needed(checkpoint, monkeypatch):
    for package in ("torchvision", "PIL"):
        monkeypatch.setitem(sys.modules, package, None)
    (labels,) = make_labeler(NAME, checkpoint=str(checkpoint)).label([clip_of(frames_of(1, (40, 60)))])
    assert labels.depth.shape == (1, 40, 60)


def test_the_sequence_of_torchs_global_generator_is_left_alone(checkpoint):
    before = torch.random.get_rng_state()
    make_labeler(NAME, checkpoint=str(checkpoint))
    assert torch.equal(before, torch.random.get_rng_state())
