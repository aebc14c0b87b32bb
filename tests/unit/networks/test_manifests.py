"""Names, shapes and counts of the public checkpoints."""

import numpy as np
import pytest
import torch

from networks import build_model

EXPECTED = {"pi3": (1210, 958_696_732), "trajvg": (1798, 1_044_692_674), "pi3x": (1873, 1_360_032_433)}


@pytest.mark.parametrize("name", EXPECTED)
def test_full_size_has_the_public_names_and_shapes(name, manifest):
    with torch.device("meta"):
        model = build_model(name)
    shapes = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    assert shapes == manifest(name)["state_dict"]
    assert (len(shapes), sum(parameter.numel() for parameter in model.parameters())) == EXPECTED[name]


def test_a_part_has_the_published_size(manifest):
    with torch.device("meta"):
        model = build_model("trajvg")
    for part, (num_tensors, num_numbers) in manifest("trajvg")["by_top_level"].items():
        sizes = [parameter.numel() for name, parameter in model.named_parameters() if name.split(".")[0] == part]
        assert (part, len(sizes), sum(sizes)) == (part, num_tensors, num_numbers)


def test_small_size_and_weights_by_formula(trajvg, manifest):
    expected = manifest("small")
    entries = trajvg.state_dict()
    assert {name: list(tensor.shape) for name, tensor in entries.items()} == expected["state_dict"]
    for name, (total, squares, first, last) in expected["check"].items():
        values = entries[name].double().flatten().numpy()
        np.testing.assert_allclose([values.sum(), (values**2).sum()], [total, squares], rtol=1e-9, atol=1e-9)
        assert (values[0], values[-1]) == (first, last)
