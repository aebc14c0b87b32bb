"""Cameras from point maps: the focal length of one map, and poses by robust PnP with a derivative.

St4RTrack's adaptation (arXiv 2504.13152, section 4): a pose is the optimum of a Huber cost of weighted reprojection errors, found without
gradient; one Gauss-Newton step from it carries the gradient, which is the implicit function's up to second derivatives of small residuals.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from trainer.geometry.cameras import assemble_rigid, cross_matrix, transform_points

_NEAREST = 0.01  # depth at which projections are clamped
_BORDER_PX = 10.0  # around the image, where projections are clamped
_RELATIVE_WIDTH = 0.1  # of the Huber penalty, against the weighted spread of the pixels
_DAMPING = 1e-5  # of the step that carries the gradient
_WEISZFELD_STEPS = 10
_SMALLEST = 1e-8
_FEWEST_POINTS = 6
_SINGULAR = 1e-9  # lowest eigenvalue, of equations on one scale, of a pose that is not determined
_LOWEST, _HIGHEST = 1e-12, 1e8  # damping of the solver


def weiszfeld_focal(points: Tensor, principal_point: Tensor) -> Tensor:
    """Focal length that explains a point map: pixel = focal * (x, y) / z + principal point, least sum of distances. Detached.

    Args:
        points: "H W 3", in its camera.
        principal_point: "2", (x, y) in pixels, integers centres.
    Returns: scalar in pixels; NaN where no point has a depth.
    Source: DUSt3R's Weiszfeld iteration, 10 steps from the least-squares solution.
    """
    points = points.detach()
    height, width = points.shape[:2]
    y, x = torch.meshgrid(*(torch.arange(n, device=points.device, dtype=points.dtype) for n in (height, width)), indexing="ij")
    places = (torch.stack([x, y], dim=-1) - principal_point.to(points)).flatten(0, 1)
    directions = (points[..., :2] / points[..., 2:]).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).flatten(0, 1)
    products, squares = (places * directions).sum(-1), directions.square().sum(-1)
    focal = products.mean() / squares.mean()
    for _ in range(_WEISZFELD_STEPS):
        weights = 1 / (places - focal * directions).norm(dim=-1).clamp_min(_SMALLEST)
        focal = (weights * products).mean() / (weights * squares).mean()
    return focal


def pinhole_matrix(focal: Tensor, principal_point: Tensor) -> Tensor:
    """Intrinsics "3 3" of a focal length and a principal point "2", in pixels."""
    zero, one = torch.zeros_like(focal), torch.ones_like(focal)
    x, y = principal_point.to(focal).unbind()
    return torch.stack([focal, zero, x, zero, focal, y, zero, zero, one]).unflatten(0, (3, 3))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PoseProblem:
    """Correspondences of F frames: N points in world axes, and the pixels where they are seen."""

    points: Tensor  # "F N 3"
    pixels: Tensor  # "F N 2", (x, y), integers centres
    weights: Tensor  # "F N", confidence, above 0
    intrinsics: Tensor  # "3 3"
    bounds: tuple[float, float]  # width and height: projections farther than 10 px outside are clamped

    def huber_width(self) -> Tensor:
        """Reprojection error from which the penalty is linear: 0.1 times mean weight times the pixels' spread, "F"."""
        return _RELATIVE_WIDTH * self.weights.mean(-1) * self.pixels.var(dim=-2).sum(-1).sqrt()

    def detach(self) -> "PoseProblem":
        """The same numbers in float64, without gradient."""
        tensors = {name: getattr(self, name).detach().double() for name in ("points", "pixels", "weights", "intrinsics")}
        return replace(self, **tensors)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PoseSolution:
    """Poses of F frames."""

    world_to_camera: Tensor  # "F 4 4"; the identity where it failed
    cost: Tensor  # "F", at the optimum
    failed: Tensor  # bool "F": no pose was found


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _System:
    """Normal equations at a pose, in motions (rotation, translation) applied after it."""

    cost: Tensor  # "F"
    gradient: Tensor  # "F 6"
    hessian: Tensor  # "F 6 6", Gauss-Newton


def solve_poses(problem: PoseProblem, *, iterations: int = 100) -> PoseSolution:
    """Optimum of the robust cost for each frame, by Levenberg-Marquardt in float64 from OpenCV's EPnP. No gradient.

    EPnP is wrong at times, with a camera behind what it sees: it begins at the identity where that explains the pixels better. A pose
    that the pixels leave undetermined has failed.
    """
    problem = problem.detach()
    pose, failed = _closed_form(problem)
    damping = torch.full_like(pose[:, 0, 0], 1e-3)
    system = _normal_equations(problem, pose)
    identity = torch.eye(4, device=pose.device, dtype=pose.dtype).expand_as(pose)
    still = _normal_equations(problem, identity)
    pose, system = _choose_poses(still.cost < system.cost, (identity, still), (pose, system))
    for _ in range(iterations):
        scale = system.hessian.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12)
        step = -torch.linalg.solve_ex(system.hessian + torch.diag_embed(damping[:, None] * scale), system.gradient)[0]
        trial = _exponential(step.nan_to_num(0.0)) @ pose
        tried = _normal_equations(problem, trial)
        better = tried.cost < system.cost
        pose, system = _choose_poses(better, (trial, tried), (pose, system))
        damping = torch.where(better, damping / 4, damping * 8).clamp(_LOWEST, _HIGHEST)
        if bool(((step.abs().amax(-1) < 1e-12) | (damping >= _HIGHEST) | failed).all()):
            break
    failed = failed | ~system.cost.isfinite() | ~pose.flatten(1).isfinite().all(-1) | _undetermined(system)
    return PoseSolution(world_to_camera=torch.where(failed[:, None, None], identity, pose), cost=system.cost, failed=failed)


def differentiable_poses(problem: PoseProblem, solution: PoseSolution) -> Tensor:
    """Solved poses with their derivative: one Gauss-Newton step of the rescaled residuals, of which only the change is kept.

    Gradient flows to points and weights, none to intrinsics; frames without a solution are a constant.

    Returns: world-to-camera "F 4 4", equal to the solution's, in the points' precision.
    """
    pose = solution.world_to_camera.to(problem.points)
    problem = replace(  # what has failed may hold NaN, which would spoil the others' gradient
        problem,
        points=torch.where(solution.failed[:, None, None], 1, problem.points),
        weights=torch.where(solution.failed[:, None], 1, problem.weights),
        intrinsics=problem.intrinsics.detach(),
    )
    system = _normal_equations(problem, pose)
    eye = torch.eye(6, device=pose.device, dtype=pose.dtype)
    hessian = torch.where(solution.failed[:, None, None], eye, system.hessian.detach() + _DAMPING * eye)
    step = -torch.linalg.solve(hessian, system.gradient)
    change = torch.where(solution.failed[:, None], 0, step - step.detach())
    turned = cross_matrix(change[:, :3]) @ pose[:, :3, :3]
    moved = torch.linalg.cross(change[:, :3], pose[:, :3, 3]) + change[:, 3:]
    return assemble_rigid(pose[:, :3, :3] + turned, pose[:, :3, 3] + moved)


def _normal_equations(problem: PoseProblem, pose: Tensor) -> _System:
    camera = transform_points(pose, problem.points)
    depth = camera[..., 2:].clamp_min(_NEAREST)
    focal = torch.stack([problem.intrinsics[0, 0], problem.intrinsics[1, 1]])
    projected = camera[..., :2] / depth * focal + problem.intrinsics[:2, 2]
    limits = projected.new_tensor([problem.bounds[0] - 1 + _BORDER_PX, problem.bounds[1] - 1 + _BORDER_PX])
    clamped = projected.clamp(torch.full_like(limits, -_BORDER_PX), limits)
    residual = problem.weights[..., None] * (clamped - problem.pixels)
    size, width = residual.norm(dim=-1), problem.huber_width()[:, None]
    linear = size > width
    rescale = torch.where(linear, (width / torch.where(linear, size, 1)).sqrt(), 1)
    penalty = torch.where(linear, width * size - width.square() / 2, size.square() / 2)
    rows = problem.weights[..., None, None] * _projection_rows(camera, depth, focal) * rescale[..., None, None]
    rows = torch.where((projected == clamped)[..., None], rows, 0)
    jacobian = torch.cat([-(rows @ cross_matrix(camera)), rows], dim=-1).flatten(1, 2)  # "F 2N 6"
    rescaled = (residual * rescale[..., None]).flatten(1, 2)
    return _System(cost=penalty.sum(-1), gradient=(jacobian.mT @ rescaled[..., None])[..., 0], hessian=jacobian.mT @ jacobian)


def _projection_rows(camera: Tensor, depth: Tensor, focal: Tensor) -> Tensor:
    """Derivative "F N 2 3" of the projection by the point; where depth is clamped it does not change with z."""
    zero = torch.zeros_like(depth[..., 0])
    scale = focal / depth
    by_depth = torch.where(camera[..., 2:] > _NEAREST, -focal * camera[..., :2] / depth.square(), 0)
    row_x = torch.stack([scale[..., 0], zero, by_depth[..., 0]], dim=-1)
    row_y = torch.stack([zero, scale[..., 1], by_depth[..., 1]], dim=-1)
    return torch.stack([row_x, row_y], dim=-2)


def _exponential(motion: Tensor) -> Tensor:
    """Rigid motions "F 4 4" of (rotation vector, translation) "F 6"."""
    return assemble_rigid(torch.linalg.matrix_exp(cross_matrix(motion[:, :3])), motion[:, 3:])


def _choose_poses(better: Tensor, one: tuple[Tensor, _System], other: tuple[Tensor, _System]) -> tuple[Tensor, _System]:
    """Poses and their systems: `one` of the frames where it is better, bool "F"."""

    def choose(first: Tensor, second: Tensor) -> Tensor:
        return torch.where(better.reshape(-1, *([1] * (first.ndim - 1))), first, second)

    return choose(one[0], other[0]), _System(**{name: choose(getattr(one[1], name), getattr(other[1], name)) for name in _System.__slots__})


def _undetermined(system: _System) -> Tensor:
    """Whether some motion changes no projection, bool "F": the points are all behind the camera, outside the image or on one ray."""
    scale = system.hessian.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12).rsqrt()
    lowest: Tensor = torch.linalg.eigvalsh((scale[:, :, None] * system.hessian * scale[:, None]).nan_to_num(0.0))[:, 0]
    return lowest < _SINGULAR


def _closed_form(problem: PoseProblem) -> tuple[Tensor, Tensor]:
    """World-to-camera "F 4 4" by EPnP, and which frames have none: bool "F"."""
    device = problem.points.device
    poses, failed = [], []
    matrix = problem.intrinsics.cpu().numpy()
    for points, pixels, weights in zip(*(part.cpu().numpy() for part in (problem.points, problem.pixels, problem.weights)), strict=True):
        pose = _start_of_frame(points, pixels, weights, matrix)
        poses.append(np.eye(4) if pose is None else pose)
        failed.append(pose is None)
    return torch.from_numpy(np.stack(poses)).to(device), torch.tensor(failed, device=device)


def _start_of_frame(points: np.ndarray, pixels: np.ndarray, weights: np.ndarray, matrix: np.ndarray) -> np.ndarray | None:
    usable = np.flatnonzero(np.isfinite(points).all(-1) & np.isfinite(weights) & (weights > 0))
    if len(usable) < _FEWEST_POINTS or len(usable) < len(points) or not np.isfinite(matrix).all():
        return None
    chosen = usable[np.argsort(-weights[usable], kind="stable")[:: max(1, len(usable) // 512)]]
    try:
        found, rotation, translation = cv2.solvePnP(points[chosen], pixels[chosen], matrix, None, flags=cv2.SOLVEPNP_EPNP)
    except cv2.error:
        return None
    if not found or not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
        return None
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(rotation)[0], translation[:, 0]
    return pose
