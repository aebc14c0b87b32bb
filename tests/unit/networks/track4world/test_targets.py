"""Cameras out of point maps, hybrid targets, confidence, and the fit of scale and shift, against independent computations."""

import numpy as np
import pytest
import torch

from networks.track4world.alignment import (
    fit_scale_shift,
    fit_scale_shifts,
    refine_confidence,
    sample_at_targets,
    thin_by_mask,
    thin_by_masks,
)
from networks.track4world.unprojection import PinholeFit, fit_pinhole, lift, solve_pinhole, unproject
from pipeline.metrics import fit_scale_shift as metrics_fit
from tests.track4world_golden import GOLDEN


def seeds(name):
    with np.load(GOLDEN.parent / "seeds" / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.fixture(scope="module")
def geometry():
    return seeds("t4w_geometry.npz")


def test_focal_length_and_shift(geometry):
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    plane = (torch.stack([2 * x - 15, 2 * y - 11], dim=-1) / 20).expand(2, -1, -1, -1)  # the diagonal has 20 pixels
    mask = geometry["mask"]
    found = solve_pinhole(geometry["points"][mask].numpy(), plane[mask].double().numpy())
    assert found.focal == pytest.approx(float(geometry["focal_halfdiag"]), abs=1e-5)
    assert found.shift == pytest.approx(float(geometry["z_shift"]), abs=1e-5)
    matrix = found.intrinsics((12, 16))
    assert matrix[0, 0] == pytest.approx(float(geometry["fx_norm"]), abs=1e-5)
    assert matrix[1, 1] == pytest.approx(float(geometry["fy_norm"]), abs=1e-5)


def test_a_pinhole_camera_is_recovered_from_its_own_points():
    true = PinholeFit(focal=1.3, shift=0.4)
    depth = 2 + torch.rand(2, 30, 40, generator=torch.Generator().manual_seed(2))
    points = unproject(depth, true.intrinsics((30, 40))) - torch.tensor([0, 0, 0.4])[:, None, None]
    found = fit_pinhole(points, torch.ones(2, 30, 40, dtype=torch.bool))
    assert (found.focal, found.shift) == (pytest.approx(1.3, abs=1e-3), pytest.approx(0.4, abs=2e-3))
    assert fit_pinhole(points, torch.zeros(2, 30, 40, dtype=torch.bool)) == PinholeFit(focal=1.0, shift=0.0)  # nothing to fit on


def test_hybrid_targets_with_and_without_half_a_pixel(geometry):
    camera = PinholeFit(focal=float(geometry["focal_halfdiag"]), shift=float(geometry["z_shift"]))
    pixels = geometry["target_pix"].permute(2, 0, 1)
    depth = geometry["points"][0, ..., 2] + geometry["flow3d"][..., 2] + camera.shift
    for offset, name in ((0.5, "hybrid_points"), (0.0, "hybrid_points_compat_no_half_pixel")):
        found = lift(pixels, depth, camera.intrinsics((12, 16)).double(), pixel_offset=offset)
        torch.testing.assert_close(found.permute(1, 2, 0), geometry[name], atol=1e-5, rtol=1e-5)


def test_confidence_falls_with_disagreement(geometry):
    points, pixels = geometry["rc_points"].permute(0, 3, 1, 2), geometry["rc_target_pix"].permute(2, 0, 1)[None]
    seen, _ = sample_at_targets(points[1:], pixels)
    found = refine_confidence(geometry["rc_visconf"].permute(2, 0, 1)[None], points[:1], seen, geometry["rc_flow3d"].permute(2, 0, 1)[None])
    torch.testing.assert_close(found[0].permute(1, 2, 0), geometry["rc_out"], atol=1e-9, rtol=1e-9)


def test_targets_at_and_beyond_the_border():
    points = torch.arange(12.0).view(1, 1, 3, 4).expand(1, 3, 3, 4)
    pixels = torch.tensor([[3.0, 2.0], [3.2, 1.0], [-4.0, 0.0]]).T[None, :, None]  # the last pixel, 0.2 beyond, far outside
    seen, inside = sample_at_targets(points, pixels)
    assert inside[0, 0].tolist() == [True, False, False]
    torch.testing.assert_close(seen[0, 0, 0], torch.tensor([11.0, 0.8 * 7, 0]))


def test_scale_and_shift():
    golden = seeds("t4w_align.npz")
    found = fit_scale_shift(golden["src"], golden["tgt"], golden["weight"])
    assert found.scale == pytest.approx(float(golden["scale"]), rel=1e-9)
    assert found.shift == pytest.approx(golden["shift"].tolist(), rel=1e-9)
    rest = found.apply(golden["src"].T).T - golden["tgt"]
    assert float((golden["weight"] * rest.abs().sum(1)).sum()) == pytest.approx(float(golden["objective"]), rel=1e-9)
    assert fit_scale_shift(golden["src"], golden["tgt"], torch.zeros(40)) is None


@pytest.mark.parametrize("truncation", [None, 0.4, 1.0])
def test_many_fits_at_once_are_those_of_the_array_metrics(truncation, monkeypatch):
    draw = np.random.default_rng(4)
    source = draw.normal(size=(5, 12, 3))
    target = 1.4 * source + [0.1, -0.3, 0.2] + draw.standard_t(1.5, size=source.shape) * 0.2
    weight = draw.uniform(0.2, 2, size=(5, 12)) * (draw.random((5, 12)) > 0.2)
    weight[4] = 0
    tensors = [torch.from_numpy(part) for part in (source, target, weight)]
    scales, shifts = fit_scale_shifts(*tensors, truncation=truncation)
    for number in range(4):
        expected = metrics_fit(source[number], target[number], weights=weight[number], truncation=truncation)
        assert float(scales[number]) == pytest.approx(expected.scale, rel=1e-9)
        assert shifts[number].tolist() == pytest.approx(expected.shift.tolist(), rel=1e-9, abs=1e-9)
        alone = fit_scale_shift(*(part[number] for part in tensors), truncation=truncation)
        assert (alone.scale, alone.shift) == (float(scales[number]), tuple(shifts[number].tolist()))
    assert (float(scales[4]), shifts[4].tolist()) == (1, [0, 0, 0])
    monkeypatch.setattr("networks.track4world.alignment._RATIOS_AT_ONCE", 400)  # a few anchor points at once
    assert torch.equal(fit_scale_shifts(*tensors, truncation=truncation)[0], scales)


def test_cells_are_represented_by_their_nearest_valid_pixel():
    valid = torch.ones(4, 6, dtype=torch.bool)
    valid[0, 0] = False  # of the first cell's pixels (0, 0), (0, 1), (0, 2), (1, 0), ..., centre (1.5, 1): (0, 1) and (1, 1) are nearest
    valid[2:, 3:] = False
    rows, columns = thin_by_mask(valid, 2)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (0, 4), (2, 1)]
    rows, columns = thin_by_mask(torch.ones(3, 3, dtype=torch.bool), 3)  # a pixel a cell
    assert (3 * rows + columns).tolist() == list(range(9))
    rows, columns, found = thin_by_masks(torch.stack([valid, valid & False]), 2)
    assert found.tolist() == [[True, True, True, False], [False] * 4]
    assert list(zip(rows[0].tolist(), columns[0].tolist(), strict=True))[:3] == [(0, 1), (0, 4), (2, 1)]
