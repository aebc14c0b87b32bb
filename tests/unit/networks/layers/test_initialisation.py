"""Fresh weights."""

import pytest
import torch

from networks import build_model, model_name

NAMES = ["pi3", "pi3x", "trajvg"]


def same(one, other) -> list[str]:
    entries = other.state_dict()
    return [name for name, tensor in one.state_dict().items() if torch.equal(tensor, entries[name])]


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_written(name, tiny_config):
    model = build_model(name, tiny_config)
    assert model_name(model) == name
    with torch.no_grad():
        for entry in model.state_dict().values():
            entry.fill_(torch.nan)
    model.initialise(torch.Generator().manual_seed(1))
    assert [key for key, entry in model.state_dict().items() if not entry.isfinite().all()] == []


def test_equal_generators_give_equal_models_and_others_do_not(tiny_config):
    one, two, three = (build_model("trajvg", tiny_config, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    entries = one.state_dict()
    assert len(same(one, two)) == len(entries)
    drawn = {name for name, entry in entries.items() if name.endswith(".weight") and entry.ndim > 1}
    assert not set(same(one, three)) & drawn


def test_the_global_generator_is_left_alone(tiny_config):
    before = torch.random.get_rng_state()
    build_model("trajvg", tiny_config)
    assert torch.equal(before, torch.random.get_rng_state())


def test_fresh_models_begin_mildly(tiny_config):
    model = build_model("trajvg", tiny_config)
    with torch.no_grad():
        output = model(torch.rand(1, 3, 3, 56, 56, generator=torch.Generator().manual_seed(0)), torch.tensor([[[10.0, 20], [30, 5]]]))
    turned = torch.linalg.matrix_norm(output.camera_poses[..., :3, :3] - torch.eye(3))
    assert float(turned.max()) < 0.7  # radians, about: cameras near the identity
    assert 0.5 < float(output.local_points[..., 2].min()) <= float(output.local_points[..., 2].max()) < 2
    assert float((output.visibility - 0.5).abs().max()) < 0.1


def test_transposed_kernels_repeat_what_they_enlarge(tiny_config):
    weight = build_model("trajvg", tiny_config).state_dict()["point_head.upsample_blocks.0.0.0.weight"]
    assert torch.equal(weight, weight[..., :1, :1].expand_as(weight))
