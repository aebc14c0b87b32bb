"""The reprojection form of the pose term without labels: values and gradients by hand, and what it does not look at."""

import pytest
import torch
from torch import Tensor

from trainer.families.trajvg.coupling import reprojection_term, self_supervised_coupling
from trainer.families.trajvg.settings import CouplingSettings, GateSettings
from trainer.geometry import invert_rigid, transform_points
from trainer.losses import ClipGeometry, TrackObservations

FOCAL, HEIGHT, WIDTH = 50.0, 41, 61
REPROJECTION = CouplingSettings(self_pose_form="reprojection", gate=GateSettings(gates=()), huber=10.0)
POINTS = CouplingSettings(gate=GateSettings(gates=()), huber=10.0)


def camera_at(*place: float) -> Tensor:
    camera = torch.eye(4, dtype=torch.float64)
    camera[:3, 3] = torch.tensor(place)
    return camera


def one_point(*cameras: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A point 2 m ahead of the first camera, seen from there and from 0.1 m to the right; cameras as predicted."""
    predicted = torch.stack(cameras)[None].requires_grad_()
    points = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64).repeat(1, len(cameras), 1, 1).requires_grad_()
    intrinsics = torch.tensor([[FOCAL, 0, 30], [0, FOCAL, 20], [0, 0, 1]], dtype=torch.float64).repeat(1, len(cameras), 1, 1)
    pixels = torch.tensor([[[30.0, 20.0]], [[30 - FOCAL * 0.05, 20.0]]], dtype=torch.float64)[None]
    return points, predicted, pixels, intrinsics


def test_a_camera_that_did_not_move_with_its_view_is_told_by_how_much():
    points, cameras, pixels, intrinsics = one_point(camera_at(0, 0, 0), camera_at(0, 0, 0))
    loss = reprojection_term(points, cameras, pixels, intrinsics, torch.ones(1, 2, 1, dtype=torch.float64), REPROJECTION)
    assert loss.item() == pytest.approx(0.05**2 / 2 / 2)  # half a square, over the weights of two frames
    to_cameras, to_points = torch.autograd.grad(loss.sum(), (cameras, points), allow_unused=True)
    assert to_points is None
    assert to_cameras[0, 1, :3, 3].tolist() == pytest.approx([-0.05 / 2 / 2, 0, 0])  # 1 / depth; less where the camera goes right
    assert to_cameras[0, 0, :3, 3].tolist() == pytest.approx([0.05 / 2 / 2, 0, 0])
    right = one_point(camera_at(0, 0, 0), camera_at(0.1, 0, 0))
    assert reprojection_term(*right, torch.ones(1, 2, 1, dtype=torch.float64), REPROJECTION).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("depth_m", [2.0, 2.5])
def test_a_point_beside_or_behind_the_camera_has_no_residual(depth_m):
    points, cameras, pixels, intrinsics = one_point(camera_at(0, 0, 0), camera_at(0, 0, depth_m))
    loss = reprojection_term(points, cameras, pixels, intrinsics, torch.ones(1, 2, 1, dtype=torch.float64), REPROJECTION)
    (gradient,) = torch.autograd.grad(loss.sum(), cameras)
    assert loss.item() == 0
    assert not gradient.any()


def planes(*, off: float) -> tuple[ClipGeometry, TrackObservations]:
    """A tilted plane before three cameras, all right but for a factor on the depth of the frames after the first."""
    generator = torch.Generator().manual_seed(3)
    cameras = torch.stack([camera_at(0, 0, 0), camera_at(0.3, 0.1, 0), camera_at(-0.2, 0, 0.2)])
    y, x = torch.meshgrid(torch.arange(HEIGHT, dtype=torch.float64), torch.arange(WIDTH, dtype=torch.float64), indexing="ij")
    rays = torch.stack([(x - 30) / FOCAL, (y - 20) / FOCAL, torch.ones_like(x)], dim=-1)
    normal = torch.tensor([0.2, -0.1, 1.0], dtype=torch.float64)  # normal . point = 3
    maps = torch.stack([rays * ((3 - normal @ camera[:3, 3]) / (rays @ normal))[..., None] for camera in cameras])
    maps = torch.cat([maps[:1], off * maps[1:]])
    start = torch.rand(1, 40, 2, generator=generator, dtype=torch.float64) * 20 + torch.tensor([20.0, 10.0])
    seen = torch.cat([(start - torch.tensor([30.0, 20.0])) / FOCAL, torch.ones(1, 40, 1, dtype=torch.float64)], dim=-1)
    world = seen * (3 / (seen @ normal))[..., None]
    local = transform_points(invert_rigid(cameras), world)
    pixels = FOCAL * local[..., :2] / local[..., 2:] + torch.tensor([30.0, 20.0])
    prediction = ClipGeometry(
        local_points=maps[None].requires_grad_(), camera_to_world=cameras[None].requires_grad_(), tracks=local[None].requires_grad_()
    )
    return prediction, TrackObservations(tracks_px=pixels[None], frame_weights=torch.ones(1, 3, 40, dtype=torch.float64))


def pull_on_places(off: float, settings: CouplingSettings) -> float:
    """Length of the gradient to the places of the cameras, which are right."""
    prediction, observed = planes(off=off)
    terms = self_supervised_coupling(prediction, observed, settings)
    leaves = (prediction.camera_to_world, prediction.local_points, prediction.tracks)
    to_cameras, *others = torch.autograd.grad(terms.camera_poses.sum(), leaves, allow_unused=True)
    assert all(other is None or not other.any() for other in others)
    return to_cameras[..., :3, 3].norm().item()


def test_depth_of_the_other_frames_moves_right_cameras_in_the_printed_form_alone():
    assert pull_on_places(1.0, POINTS) < 1e-3  # maps are sampled between pixels
    assert pull_on_places(1.3, POINTS) > 0.05
    for off in (1.0, 1.3):
        assert pull_on_places(off, REPROJECTION) < 1e-3


def test_the_size_of_the_scene_changes_neither_value_nor_the_pull_per_size():
    found = []
    for factor in (1.0, 5.0):
        prediction, observed = planes(off=1.0)
        cameras = prediction.camera_to_world.detach().clone()
        cameras[:, 1, 0, 3] += 0.1
        cameras[..., :3, 3] *= factor
        cameras.requires_grad_()
        scaled = ClipGeometry(
            local_points=factor * prediction.local_points, camera_to_world=cameras, tracks=factor * prediction.tracks.detach()
        )
        loss = self_supervised_coupling(scaled, observed, REPROJECTION).camera_poses.sum()
        found.append(torch.stack([loss.detach(), factor * torch.autograd.grad(loss, cameras)[0][0, 1, 0, 3]]))
    assert (found[0] > 1e-4).all()
    torch.testing.assert_close(found[0], found[1])
