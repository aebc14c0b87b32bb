"""Single losses against values computed independently, and against the public code's."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from trainer.families.st4rtrack.adaptation import depth_loss, rigidity_loss, trajectory_loss
from trainer.families.st4rtrack.regression import (
    confidence_loss,
    distances,
    dynamic_pixels,
    mean_distance,
    reference_mean_distance,
    reweight_dynamic,
)
from trainer.geometry.pnp import PoseProblem, PoseSolution, differentiable_poses, solve_poses, weiszfeld_focal

SEEDS = Path(__file__).parents[4] / "golden" / "seeds"


def arrays(name: str) -> dict[str, torch.Tensor]:
    with np.load(SEEDS / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.fixture(scope="module")
def losses():
    return arrays("st4_losses.npz")


@pytest.fixture(scope="module")
def pnp():
    return arrays("st4_pnp.npz")


def test_units_of_a_pair(losses):
    torch.testing.assert_close(mean_distance(losses["pts2"], losses["valid2"]), losses["norm_intended"])
    torch.testing.assert_close(reference_mean_distance(losses["pts2"]), losses["norm_repo"])


def test_confidence_weighted_distance(losses):
    unit, true_unit = (mean_distance(losses[name], losses["valid2"])[:, None, None, None] for name in ("pts2", "gt1"))
    error = distances(losses["pts1"] / unit, losses["gt1"] / true_unit, losses["traj_mask"])
    found = confidence_loss(error, losses["conf"], losses["traj_mask"], alpha=float(losses["alpha"]))
    torch.testing.assert_close(found, losses["conf_loss"])


def test_reprojected_trajectory(losses):
    height, width = losses["track_HW"].tolist()
    centre = torch.tensor([width / 2, height / 2], dtype=torch.float64)
    predicted, observed = losses["track_pred"][None], losses["track_gt"][None]
    loss, zoom = trajectory_loss(predicted, observed, torch.ones(predicted.shape[:2], dtype=torch.float64), centre)
    torch.testing.assert_close((loss, zoom), (losses["track_loss"], losses["track_scale"]))


def test_weights_of_a_trajectory_are_those_of_its_repetition(losses):
    centre = torch.tensor([16.0, 12.0], dtype=torch.float64)
    predicted, observed = losses["track_pred"][None], losses["track_gt"][None]
    weights = torch.tensor([[3.0, 1.0, 0.0] * 10], dtype=torch.float64)
    repeated = [index for index, count in enumerate(weights[0].int().tolist()) for _ in range(count)]
    found = trajectory_loss(predicted, observed, weights, centre)
    expected = trajectory_loss(predicted[:, repeated], observed[:, repeated], torch.ones(1, len(repeated), dtype=torch.float64), centre)
    torch.testing.assert_close(found, expected)


def test_depth_up_to_scale(losses):
    valid = torch.ones(1, 50, dtype=torch.bool)
    loss, scale = depth_loss(losses["depth_pred"][None], losses["depth_gt"][None], valid)
    torch.testing.assert_close((loss, scale[0]), (losses["depth_loss"], losses["depth_scale"]))


def test_depth_up_to_scale_and_shift_is_least_squares(losses):
    predicted, target = losses["depth_pred"], losses["depth_gt"]
    design = torch.stack([predicted, torch.ones_like(predicted)], dim=1)
    fitted = design @ torch.linalg.lstsq(design, target[:, None]).solution
    valid = torch.ones(1, 50, dtype=torch.bool)
    loss, _ = depth_loss(predicted[None], target[None], valid, with_shift=True)
    torch.testing.assert_close(loss, (fitted[:, 0] - target).square().mean(), rtol=1e-6, atol=0)


def test_a_frame_without_depth_adds_nothing(losses):
    predicted = losses["depth_pred"].expand(2, -1)
    valid = torch.stack([torch.ones(50, dtype=torch.bool), torch.zeros(50, dtype=torch.bool)])
    target = torch.stack([losses["depth_gt"], torch.full_like(losses["depth_gt"], torch.nan)])
    torch.testing.assert_close(depth_loss(predicted, target, valid)[0], losses["depth_loss"])


def test_rigidity(losses):
    points = losses["rigid_pts"].flatten(1, 2)
    torch.testing.assert_close(rigidity_loss(points, num_neighbours=int(losses["rigid_k"])), losses["rigid_loss"])


@pytest.mark.parametrize(("name", "quantile", "or_mean"), [("q75", 0.75, True), ("q50", 0.5, False)])
def test_what_moves_is_weighted_up(losses, name, quantile, or_mean):
    displacement = (losses["rw_traj"] - losses["gt1"]).square().sum(-1)
    moving = dynamic_pixels(displacement, losses["traj_mask"], quantile=quantile, or_mean=or_mean)
    torch.testing.assert_close(reweight_dynamic(losses["conf"], moving, losses["traj_mask"]), losses[f"reweight_conf_{name}"])


def test_focal_length(losses):
    height, width = losses["focal_pts"].shape[:2]
    found = weiszfeld_focal(losses["focal_pts"], torch.tensor([width / 2, height / 2]))
    torch.testing.assert_close(found, losses["focal_weiszfeld"])


def problem_of(pnp, pixels) -> PoseProblem:
    return PoseProblem(points=pnp["X"][None], pixels=pixels[None], weights=pnp["weight"][None], intrinsics=pnp["K"], bounds=(1e9, 1e9))


def rigid(rotation, translation):
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3], pose[:3, 3] = rotation, translation
    return pose


def test_pose_of_exact_correspondences(pnp):
    solution = solve_poses(problem_of(pnp, pnp["u"]))
    assert not bool(solution.failed)
    torch.testing.assert_close(solution.world_to_camera[0], rigid(pnp["R"], pnp["t"]), atol=1e-8, rtol=0)


def test_derivative_of_a_pose_by_its_points(pnp):
    problem = problem_of(pnp, pnp["u"])
    points = problem.points.clone().requires_grad_()
    solution = solve_poses(problem)
    pose = differentiable_poses(PoseProblem(**{**vars_of(problem), "points": points}), solution)[0]
    torch.testing.assert_close(pose.detach(), solution.world_to_camera[0], atol=1e-12, rtol=0)
    rotation, translation = pnp["R"], pnp["t"]
    # the rotation vector of R' R^T, and t' - t
    turned = pose[:3, :3] @ rotation.mT
    entries = [turned[2, 1], turned[0, 2], turned[1, 0], *(pose[:3, 3] - translation)]
    rows = torch.stack([torch.autograd.grad(entry, points, retain_graph=True)[0].flatten() for entry in entries])
    torch.testing.assert_close(rows, pnp["dpose_dX"], atol=1e-4, rtol=1e-4)


def test_robust_pose(pnp):
    problem = problem_of(pnp, pnp["noisy_u"])
    torch.testing.assert_close(problem.huber_width()[0], pnp["huber_delta"])
    solution = solve_poses(problem)
    torch.testing.assert_close(solution.cost[0], pnp["robust_cost"], rtol=1e-8, atol=0)
    turned = solution.world_to_camera[0, :3, :3] @ pnp["R"].mT
    vector = torch.from_numpy(cv2.Rodrigues(turned.numpy())[0][:, 0])
    torch.testing.assert_close(vector, pnp["robust_rotvec_left"], atol=1e-6, rtol=0)
    torch.testing.assert_close(solution.world_to_camera[0, :3, 3] - pnp["t"], pnp["robust_dt"], atol=1e-6, rtol=0)


def vars_of(problem: PoseProblem) -> dict:
    return {name: getattr(problem, name) for name in problem.__slots__}


def test_the_optimum_is_found_from_a_start_behind_the_points(pnp, monkeypatch):
    problem = problem_of(pnp, pnp["u"])
    behind = np.diag([-1.0, 1.0, -1.0, 1.0])  # what EPnP can answer where points are noisy
    monkeypatch.setattr("trainer.geometry.pnp._start_of_frame", lambda *args: behind)
    solution = solve_poses(problem)
    assert not solution.failed.any()
    torch.testing.assert_close(solution.world_to_camera[0], rigid(pnp["R"], pnp["t"]), atol=1e-8, rtol=0)


def test_points_on_one_ray_tell_no_pose_and_break_nothing(pnp):
    problem = problem_of(pnp, pnp["u"])
    ray = torch.tensor([0.1, 0.2, 1.0]).to(problem.points) * torch.linspace(1, 2, problem.points.shape[1])[:, None].to(problem.points)
    mixed = PoseProblem(
        points=torch.stack([problem.points[0], ray]).float().requires_grad_(),
        pixels=problem.pixels.expand(2, -1, -1).float(),
        weights=problem.weights.expand(2, -1).float(),
        intrinsics=problem.intrinsics.float(),
        bounds=problem.bounds,
    )
    solution = solve_poses(mixed)
    assert solution.failed.tolist() == [False, True]
    poses = differentiable_poses(mixed, solution)
    assert poses[1].equal(torch.eye(4))
    poses.sum().backward()
    assert mixed.points.grad.isfinite().all()
    assert mixed.points.grad[0].abs().sum() > 0
    assert not mixed.points.grad[1].any()


def test_a_frame_without_a_pose_is_marked_and_constant(pnp):
    problem = problem_of(pnp, pnp["u"])
    points = problem.points.repeat(2, 1, 1)
    points[0, 3] = torch.nan
    points.requires_grad_()
    both = {name: getattr(problem, name).repeat(2, *[1] * (getattr(problem, name).ndim - 1)) for name in ("pixels", "weights")}
    damaged = PoseProblem(**{**vars_of(problem), **both, "points": points})
    solution = solve_poses(damaged)
    assert isinstance(solution, PoseSolution)
    assert solution.failed.tolist() == [True, False]
    poses = differentiable_poses(damaged, solution)
    torch.testing.assert_close(poses[0].detach(), torch.eye(4, dtype=torch.float64), rtol=0, atol=0)
    poses.sum().backward()
    assert bool((points.grad[0] == 0).all())
    assert bool(points.grad[1].isfinite().all() & points.grad[1].any())
