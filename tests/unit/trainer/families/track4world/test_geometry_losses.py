"""Losses of Track4World's geometry stage against independent computations, laws and closed forms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from networks.track4world.alignment import ScaleShift
from trainer.families.track4world.geometry_losses import (
    align_cameras,
    align_clip,
    align_points,
    aligned_point_loss,
    geometry_stage_terms,
    magnitude_loss,
)
from trainer.families.track4world.local_alignment import LocalClip, local_loss
from trainer.families.track4world.settings import GeometryStageSettings, GeometryStageWeights
from trainer.geometry import assemble_rigid, invert_rigid, transform_points
from trainer.losses import ClipGeometry, GeometryTruth

SMALL = GeometryStageSettings(solver_points=300, local_levels=(2, 4), local_anchors=(6, 12), local_sides=(8, 5), local_fewest=12)
WIDTH, HEIGHT, FRAMES = 24, 18, 2


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[4] / "golden" / "seeds" / "t4w_losses.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if key.startswith("geo_")}


def golden_clip(golden):
    prediction = ClipGeometry(
        local_points=golden["geo_pred"][None].clone().requires_grad_(),
        camera_to_world=assemble_rigid(golden["geo_R_pred"], golden["geo_c_pred"])[None].requires_grad_(),
    )
    cameras = assemble_rigid(golden["geo_R_gt"], golden["geo_c_gt"])[None]
    return prediction, GeometryTruth(local_points=golden["geo_gt"][None], camera_to_world=cameras, valid=golden["geo_mask"][None])


def terms_of(prediction, truth, settings=SMALL):
    return geometry_stage_terms(prediction, truth, GeometryStageWeights(), settings, torch.Generator().manual_seed(0))


def test_terms_of_a_clip(golden):
    found = terms_of(*golden_clip(golden), replace(SMALL, depth_edge=1e9))  # the vectors are without edges of depth
    for name, key in (("points", "l_pts"), ("poses", "l_pose"), ("magnitude", "l_reg"), ("normals", "l_normal")):
        assert float(getattr(found, name).detach()) == pytest.approx(float(golden[f"geo_{key}"]), rel=1e-6), name
    assert float(found.aligned) == 1


def test_alignment_of_points_and_of_cameras(golden):
    fit = align_clip(golden["geo_pred"], golden["geo_gt"], golden["geo_mask"], SMALL)
    assert fit.scale == pytest.approx(float(golden["geo_scale"]), rel=1e-9)
    assert fit.shift == pytest.approx(golden["geo_shift"].tolist(), rel=1e-9)
    cameras = align_cameras(assemble_rigid(golden["geo_R_pred"], golden["geo_c_pred"]), fit)
    torch.testing.assert_close(cameras[:, :3, 3], golden["geo_c_aligned"])


def scene():
    """A wavy floor before a camera that moves and turns, as truth and as an affine picture of it that a network may choose."""
    draw = torch.Generator().manual_seed(3)
    focal = 20.0
    y, x = torch.meshgrid(torch.arange(HEIGHT, dtype=torch.float64), torch.arange(WIDTH, dtype=torch.float64), indexing="ij")
    depth = 3 + 0.5 * torch.sin(x / 5 + torch.arange(FRAMES)[:, None, None]) + 0.3 * torch.cos(y / 4)
    rays = torch.stack([(x - 11.5) / focal, (y - 8.5) / focal, torch.ones_like(x)], dim=-1)
    points = rays * depth[..., None]
    turn = torch.tensor([[0.96, 0, 0.28], [0, 1, 0], [-0.28, 0, 0.96]], dtype=torch.float64)
    rotations = torch.stack([torch.eye(3, dtype=torch.float64), turn])
    cameras = assemble_rigid(rotations, torch.tensor([[0, 0, 0], [0.4, 0.1, 0.2]], dtype=torch.float64))
    intrinsics = torch.tensor([[focal, 0, 11.5], [0, focal, 8.5], [0, 0, 1]], dtype=torch.float64).expand(1, FRAMES, 3, 3)
    valid = torch.rand(FRAMES, HEIGHT, WIDTH, generator=draw) > 0.1
    truth = GeometryTruth(local_points=points[None], camera_to_world=cameras[None], valid=valid[None], intrinsics=intrinsics)
    scale, shift = 1.7, torch.tensor([0.1, -0.2, 0.4], dtype=torch.float64)
    centres = (cameras[:, :3, 3] + rotations @ shift) / scale
    prediction = ClipGeometry(local_points=((points - shift) / scale)[None], camera_to_world=assemble_rigid(rotations, centres)[None])
    return prediction, truth, ScaleShift(scale=scale, shift=tuple(shift.tolist()))


def test_a_scene_in_any_scale_shift_and_world_costs_nothing_but_its_magnitude():
    prediction, truth, affine = scene()
    somewhere = assemble_rigid(truth.camera_to_world[0, 1, :3, :3], torch.tensor([5.0, -2, 1], dtype=torch.float64))
    moved = replace(prediction, camera_to_world=somewhere @ prediction.camera_to_world)
    for one in (prediction, moved):
        found = terms_of(one, truth)
        assert float(found.points) < 1e-9
        assert float(found.local) < 1e-9
        assert float(found.poses) < 2e-3  # the angle's clamp near 0
        assert float(found.magnitude) == pytest.approx(abs(float(prediction.local_points.norm(dim=-1)[truth.valid].mean()) - 1), rel=1e-9)
    fit = align_clip(prediction.local_points[0], truth.local_points[0], truth.valid[0], SMALL)
    assert fit.scale == pytest.approx(affine.scale)
    assert fit.shift == pytest.approx(affine.shift)


def test_aligned_cameras_see_the_world_of_the_aligned_points():
    prediction, truth, affine = scene()
    world = transform_points(align_cameras(prediction.camera_to_world, affine), align_points(prediction.local_points, affine).flatten(2, 3))
    torch.testing.assert_close(world, transform_points(truth.camera_to_world, truth.local_points.flatten(2, 3)))
    relative = invert_rigid(prediction.camera_to_world[:, :1]) @ prediction.camera_to_world
    assert float((relative[0, 1, :3, 3] - truth.camera_to_world[0, 1, :3, 3]).abs().max()) > 0.05  # unaligned they do not


def test_a_point_counts_relative_to_its_depth_and_heavy_ones_are_limited():
    truth = torch.tensor([[1.0, 0, 2], [0, 0, 4], [0, 0, 1e-3]])[None, None]
    wrong = truth + torch.tensor([[0.3, 0, 0], [0, 0.3, 0.3], [0, 0, 0.3]])
    valid = torch.ones(1, 1, 3, dtype=torch.bool)
    inverse = torch.tensor([0.5, 0.25, 1000.0])
    by_hand = (torch.minimum(inverse, 2 * inverse.mean()) * torch.tensor([0.1, 0.2, 0.1])).mean()
    found = aligned_point_loss(wrong, truth, valid, replace(SMALL, heaviest=2.0))
    assert float(found) == pytest.approx(float(by_hand), rel=1e-5)
    assert float(aligned_point_loss(wrong, truth, valid & False, SMALL)) == 0
    assert float(magnitude_loss(truth, valid & False)) == 0
    assert float(magnitude_loss(3 * torch.eye(3)[None, None], valid)) == 2


def test_a_patch_that_is_right_in_itself_costs_nothing_locally_however_wrong_it_lies():
    prediction, truth, _ = scene()
    points = prediction.local_points[0].clone()
    points[:, :, WIDTH // 2 :] += torch.tensor([0.0, 0, 1.0], dtype=torch.float64)  # the right half, a metre behind
    clip = LocalClip(points=points, truth=truth.local_points[0], valid=truth.valid[0], intrinsics=truth.intrinsics[0], scale=1.7)
    split = float(local_loss(clip, SMALL, torch.Generator().manual_seed(1)))
    assert split > 1e-3  # patches across the step
    left = truth.valid[0].clone()
    left[:, :, WIDTH // 2 :] = False
    assert float(local_loss(replace(clip, valid=left), SMALL, torch.Generator().manual_seed(1))) < 1e-9
    assert float(local_loss(replace(clip, scale=20.0), SMALL, torch.Generator().manual_seed(1))) == 0  # patches' scales are too far from it
    assert float(local_loss(replace(clip, valid=left & False), SMALL, torch.Generator().manual_seed(1))) == 0
    assert float(local_loss(clip, replace(SMALL, local_fewest=10_000), torch.Generator().manual_seed(1))) == 0


def test_gradient_flows_to_points_and_cameras_and_is_finite_without_anything_valid():
    prediction, truth, _ = scene()
    bumpy = prediction.local_points + 0.05 * torch.randn(prediction.local_points.shape, generator=torch.Generator().manual_seed(2))
    for valid in (truth.valid, truth.valid & False):
        points, cameras = bumpy.clone().requires_grad_(), prediction.camera_to_world.clone().requires_grad_()
        found = terms_of(ClipGeometry(local_points=points, camera_to_world=cameras), replace(truth, valid=valid))
        sum(getattr(found, name) for name in ("points", "poses", "magnitude", "normals", "local")).backward()
        assert bool(points.grad.isfinite().all())
        assert float(points.grad[~valid].abs().sum()) == 0
        assert (float(points.grad.abs().sum()) > 0, cameras.grad is not None) == (bool(valid.any()),) * 2


def test_a_mirrored_scene_has_no_positive_scale_and_teaches_its_magnitude_alone():
    prediction, truth, _ = scene()
    found = terms_of(replace(prediction, local_points=-prediction.local_points), truth)
    assert [float(getattr(found, name)) for name in ("points", "poses", "normals", "local", "aligned")] == [0] * 5
    assert float(found.magnitude) > 0
