"""Names and shapes of the public files, loading, sizes, bundles of truth, and bad input."""

import dataclasses

import pytest
import torch

from networks import build_model, model_name
from networks.track4world import Padding, bundle_of_truth
from networks.track4world.bundle import world_points
from networks.weights import license_of, load_model, load_weights, read_weights, save_weights, start_from
from pipeline.errors import ConfigError, DataError
from tests.tiny_network import TINY

TINY_DECODER = {
    **{"flow_dim": 16, "flow3d_dim": 16, "flow_depth": 1, "depth3d": 1, "heads": 2, "ctx": [8, 8, 8], "ctx_depth": [1, 1, 1]},
    **{"ctx_dim": 16, "hdim": 16, "n2d": 1, "n3d": 1, "levels": 2, "corr_radius": 4, "dim_feature": 16, "seqlen": 4},
}
ALONE = {**TINY_DECODER, "backbone": "none", "layer_scale": 0.1}
BELOW = {**TINY, "metric_decoder": {"dec_embed_dim": 16, "depth": 1, "out_dim": 8}}


def truth(num_frames=3, height=40, width=60):
    """A plane 2 m before a camera that steps right by 0.1 m a frame."""
    intrinsics = torch.tensor([[50.0, 0, 29.5], [0, 50, 19.5], [0, 0, 1]]).expand(1, num_frames, 3, 3)
    poses = torch.eye(4).repeat(1, num_frames, 1, 1)
    poses[0, :, 0, 3] = 0.1 * torch.arange(num_frames)
    return torch.full((1, num_frames, height, width), 2.0), intrinsics, poses


@pytest.mark.parametrize(
    ("file", "config", "num_entries", "num_numbers"),
    [("pi3", None, 2406, 40_534_055), ("depthanythingv3", {"backbone": "none", "flow3d_dim": 256, "flow_depth": 4}, 461, 26_058_919)],
)
def test_full_size_has_the_public_names_shapes_and_order(file, config, num_entries, num_numbers, manifest):
    with torch.device("meta"):
        model = build_model("track4world", config)
    decoder = {name: list(entry.shape) for name, entry in model.state_dict().items() if not name.startswith("backbone.")}
    assert list(decoder.items()) == list(manifest(file)["state_dict"].items())
    assert len(model.state_dict()) == num_entries
    assert sum(entry.numel() for name, entry in model.named_parameters() if not name.startswith("backbone.")) == num_numbers


@pytest.mark.parametrize("backbone", ["pi3x", "trajvg"])
def test_the_backbone_has_its_public_names_behind_a_prefix(backbone):
    with torch.device("meta"):
        model = build_model("track4world", {**TINY_DECODER, "backbone": backbone, "backbone_config": BELOW})
        alone = build_model(backbone, BELOW)
    below = {name.removeprefix("backbone."): entry.shape for name, entry in model.state_dict().items() if name.startswith("backbone.")}
    assert below == {name: entry.shape for name, entry in alone.state_dict().items()}


@pytest.mark.parametrize("detail", [16, 32])
def test_a_file_of_the_decoder_over_a_foreign_backbone_loads_without_that(detail, tmp_path):
    """As the public file with Depth-Anything-3: sizes are read from shapes, the backbone's entries are left unread."""
    sizes = {**TINY_DECODER, "flow_dim": 64, "flow3d_dim": 4 * detail, "heads": 16, "backbone": "none"}
    model = build_model("track4world", sizes)
    foreign = {"backbone.pretrained.blocks.0.norm1.weight": torch.ones(3)}
    torch.save({"model": {**model.state_dict(), **foreign}}, tmp_path / "public.pth")
    again = load_model(str(tmp_path / "public.pth"))
    assert model_name(again) == "track4world"
    assert again.config.flow3d_dim == 4 * detail
    torch.testing.assert_close(dict(again.state_dict()), dict(model.state_dict()), rtol=0, atol=0)
    assert "non-commercial" in str(license_of(read_weights(str(tmp_path / "public.pth"))))


def test_a_file_of_the_other_variant_is_refused(tmp_path):
    torch.save(build_model("track4world", {**ALONE, "flow3d_dim": 32}).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=r"does not fit track4world: of \d+ entries .* of another shape: .*made with other sizes"):
        load_weights(build_model("track4world", ALONE), read_weights(str(tmp_path / "other.pth")))
    torch.save({**build_model("track4world", ALONE).state_dict(), "extra": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(ConfigError, match="1 unexpected: extra"):
        load_weights(build_model("track4world", ALONE), read_weights(str(tmp_path / "more.pth")))


def test_saved_files_build_the_network_again_backbone_included(tmp_path):
    model = build_model("track4world", {**TINY_DECODER, "backbone": "pi3x", "backbone_config": BELOW})
    save_weights(str(tmp_path / "a.safetensors"), model)
    again = load_model(str(tmp_path / "a.safetensors"))
    assert again.config == model.config
    torch.testing.assert_close(dict(again.state_dict()), dict(model.state_dict()), rtol=0, atol=0)


def test_the_backbone_begins_from_its_own_file(tmp_path):
    source = build_model("pi3x", BELOW, generator=torch.Generator().manual_seed(4))
    save_weights(str(tmp_path / "pi3x.safetensors"), source)
    model = build_model("track4world", {**TINY_DECODER, "backbone": "pi3x", "backbone_config": BELOW})
    fresh = model.dot_fc1.weight.clone()
    report = start_from(model, read_weights(str(tmp_path / "pi3x.safetensors")))
    assert report.model == "pi3x"
    assert set(report.loaded) == {f"backbone.{name}" for name in source.state_dict()}
    assert "dot_fc1.weight" in report.new
    torch.testing.assert_close(dict(model.backbone.state_dict()), dict(source.state_dict()), rtol=0, atol=0)
    assert torch.equal(model.dot_fc1.weight, fresh)
    with pytest.raises(ConfigError, match="track4world cannot begin from .*pi3x.safetensors, which holds weights of pi3x"):
        start_from(build_model("track4world", ALONE), read_weights(str(tmp_path / "pi3x.safetensors")))


def test_fresh_weights_begin_as_published():
    model = build_model("track4world", ALONE)
    scales = {name: entry for name, entry in model.named_parameters() if name.endswith(("layer_scale", "gamma"))}
    assert scales
    for name, entry in scales.items():
        assert torch.equal(entry, torch.full_like(entry, 0.01 if name.endswith("gamma") else 0.1)), name


def test_truth_is_a_bundle_in_its_own_unit():
    depth, intrinsics, poses = truth()
    depth[0, 1, 3, 5] = 0
    bundle = bundle_of_truth(depth, intrinsics, poses, token_width=16)
    padding = Padding(height=40, width=60)
    points = padding.crop(bundle.points)
    assert tuple(bundle.points.shape) == (1, 3, 3, 64, 64)
    assert bundle.tokens.shape == (1, 3, 16, 16)
    valid = padding.crop(bundle.mask) > bundle.mask_threshold
    assert valid.sum() == depth.numel() - 1
    assert not valid[0, 1, 3, 5]
    assert torch.equal(points[0, 1, 2], torch.full((40, 60), float(points[0, 0, 2, 0, 0])))  # the hole has its neighbour's depth
    norms = points.norm(dim=2)[valid]
    assert float(norms.mean()) == pytest.approx(1, abs=1e-5)
    scale = 2 / float(points[0, 0, 2, 0, 0])
    world = world_points(points.permute(0, 1, 3, 4, 2), bundle) * scale
    expected = torch.tensor([(10 - 29.5) / 50 * 2 + 0.2, (30 - 19.5) / 50 * 2, 2])  # pixel (10, 30) of the third frame, by hand
    torch.testing.assert_close(world[0, 2, 30, 10], expected, atol=1e-4, rtol=0)


def test_a_pair_and_a_clip_on_truth_alone_train_the_decoder():
    model = build_model("track4world", ALONE)
    images = torch.rand(1, 3, 3, 40, 80, generator=torch.Generator().manual_seed(1))
    bundle = bundle_of_truth(*truth(width=80), token_width=16)
    flows = model(images, bundle, num_iterations=2)
    assert [tuple(flow.flow.shape) for flow in flows] == [(1, 3, 2, 40, 80)] * 2
    pair = model(images[:, :2], bundle.frames(slice(0, 2)), num_iterations=1)
    assert tuple(pair[0].flow3d.shape) == (1, 1, 3, 40, 80)
    sum(flow.flow.abs().mean() + flow.flow3d.abs().mean() + flow.visconf.mean() for flow in flows).backward()
    without = {name for name, entry in model.named_parameters() if entry.grad is None or not entry.grad.isfinite().all()}
    assert without == set()


def test_bundles_without_poses_serve_all_but_the_world():
    depth, intrinsics, _ = truth(width=80)
    bundle = bundle_of_truth(depth, intrinsics, None, token_width=16)
    assert build_model("track4world", ALONE)(torch.zeros(1, 3, 3, 40, 80), bundle, num_iterations=1)
    with pytest.raises(DataError, match="no camera poses, which world tracks need"):
        world_points(bundle.points, bundle)


def test_bad_input_is_refused():
    depth, intrinsics, poses = truth()
    depth[0, 1] = 0
    with pytest.raises(DataError, match="frame 1: no pixel has a valid depth"):
        bundle_of_truth(depth, intrinsics, poses, token_width=16)
    model = build_model("track4world", {**ALONE, "levels": 5})
    with pytest.raises(DataError, match="40 x 80 pixels are too small for a correlation of 5 levels; both sides must be 65 or more"):
        model(torch.zeros(1, 2, 3, 40, 80), bundle_of_truth(*truth(2, width=80), token_width=16))
    with pytest.raises(DataError, match="of 2 frames or more"):
        model(torch.zeros(1, 1, 3, 70, 80), bundle_of_truth(*truth(1, height=70, width=80), token_width=16))
    with pytest.raises(DataError, match="tokens of 8 channels, expected"):
        build_model("track4world", ALONE)(torch.zeros(1, 2, 3, 40, 60), bundle_of_truth(*truth(2), token_width=8))
    whole = bundle_of_truth(*truth(2), token_width=16)
    with pytest.raises(DataError, match=r"geometry bundle: mask \[1, 2, 64, 60\], expected \[1, 2, 64, 64\]"):
        dataclasses.replace(whole, mask=whole.mask[..., :60])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"heads": 3}, "flow_dim 128 over 3 heads"),
        ({"dim_feature": 64}, "dim_feature 64 must be backbone_config.decoder.dim 1024"),
        ({"seqlen": 1}, "seqlen is 1"),
        ({"hdim": 60}, "hdim 60 is no multiple of the 8 heads"),
        ({"ctx": [96, 192]}, "three widths"),
        ({"backbone": "dinov2"}, "backbone"),
        ({"width": 3}, "width"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(ConfigError, match=message), torch.device("meta"):
        build_model("track4world", sizes)
