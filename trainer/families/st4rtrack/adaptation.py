"""Losses of a video without 4D labels: St4RTrack's adaptation terms of one clip (arXiv 2504.13152, eq. 7, 9 and 10).

Head 1 gives where the first frame's points are at time j, head 2 what frame j shows at time j, both in the first camera's axes. Pixels are
(x, y), integers their centres.
"""

import torch
from torch import Tensor

from trainer.geometry.cameras import invert_rigid, transform_points
from trainer.geometry.pnp import PoseProblem, PoseSolution, differentiable_poses, solve_poses

_TINY = 1e-8
_SMALLEST_RADIUS = 1e-6  # pixels


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Points "... 3" of a camera to pixels "... 2"."""
    homogeneous = points @ intrinsics.mT
    return homogeneous[..., :2] / (homogeneous[..., 2:] + _TINY)


def trajectory_loss(projected: Tensor, observed: Tensor, weights: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Root mean square of reprojected trajectories against observed ones, once a zoom about the image's centre is taken out (eq. 7).

    Args:
        projected: "T N 2"; gradient flows, also through the zoom.
        observed: "T N 2".
        weights: "T N", of an observation; visibility times confidence times the audit's weight. Equal ones are the public code's.
        centre: "2".
    Returns: loss and zoom, scalars; 0 and 1 where nothing counts.
    """
    total = weights.sum()
    if not bool(total > 0):
        return projected.sum() * 0, projected.new_ones(())
    offset, target = projected - centre, observed - centre
    ratio = target.norm(dim=-1) / (offset.norm(dim=-1) + _SMALLEST_RADIUS)
    zoom = _weighted_sum(weights, ratio) / total
    error = (centre + zoom * offset - observed).square().sum(-1)
    return (_weighted_sum(weights, error) / (2 * total)).sqrt(), zoom


def depth_loss(depth: Tensor, mono_depth: Tensor, valid: Tensor, *, with_shift: bool = False) -> tuple[Tensor, Tensor]:
    """Mean squared error of each frame's depth, scaled in closed form to a monocular one, summed over frames (eq. 9).

    Args:
        depth: "T P", of head 2 in its own camera.
        mono_depth: "T P", in any unit, a unit of its own per frame.
        valid: bool "T P".
        with_shift: also fit an additive constant per frame; ours.
    Returns: loss, scalar, and the scales "T". A frame without valid pixels adds 0.
    """
    mask = valid.to(depth.dtype)
    count = mask.sum(-1).clamp_min(1)
    prediction, target = torch.where(valid, depth, 0), torch.where(valid, mono_depth, 0)
    middle = torch.zeros_like(count)
    centred = prediction
    if with_shift:
        middle = prediction.sum(-1) / count
        centred = torch.where(valid, prediction - middle[:, None], 0)
    scale = (centred * target).sum(-1) / (centred.square().sum(-1) + _TINY)
    shift = (target - scale[:, None] * prediction).sum(-1) / count if with_shift else torch.zeros_like(scale)
    error = torch.where(valid, scale[:, None] * prediction + shift[:, None] - target, 0).square()
    return (error.sum(-1) / count).sum(), scale


def consistency_loss(moved: Tensor, seen: Tensor, weights: Tensor) -> Tensor:
    """Mean distance of head 1 at a query from head 2 at the tracked pixel (eq. 10). Gradient flows to both.

    Args:
        moved: "T N 3", head 1 at the queries.
        seen: "T N 3", head 2 at the tracks' nearest pixels.
        weights: "T N", 0 where the track is not visible or leaves the image.
    """
    counts = weights > 0
    difference = torch.where(counts[..., None], moved - seen, 0)
    distance = torch.where(counts, difference.square().sum(-1).clamp_min(_TINY**2).sqrt(), 0)
    return (weights * distance).sum() / weights.sum().clamp_min(_TINY)


def rigidity_loss(points: Tensor, *, num_neighbours: int = 8) -> Tensor:
    """Root mean square change of the distances to neighbours over half a clip.

    Args:
        points: "T N 3", of head 1, T even; neighbours are the nearest of each point in the first frame.
    """
    half = len(points) // 2
    if not half or points.shape[1] <= num_neighbours:
        return points.sum() * 0
    near = torch.cdist(points[0].detach(), points[0].detach()).topk(num_neighbours + 1, largest=False).indices[:, 1:]
    spans = (points[:, :, None] - points[:, near]).square().sum(-1).clamp_min(_TINY**2).sqrt()
    return (spans[half : 2 * half] - spans[:half]).square().mean().clamp_min(_TINY**2).sqrt()


def poses_of_maps(
    point_maps: Tensor, confidence: Tensor, intrinsics: Tensor, *, most_pixels: int | None, draw: torch.Generator | None, swap_bounds: bool
) -> tuple[Tensor, PoseSolution]:
    """Cameras of T frames from head 2, relative to the first frame's own: camera-to-first-camera "T 4 4" with gradient, and the solution.

    Args:
        point_maps: "T H W 3". confidence: "T H W".
        most_pixels: solve on a draw of so many pixels, by confidence; None: all.
        draw: generator of that draw, on the CPU.
        swap_bounds: clamp x by the height and y by the width, as the public code does.
    """
    height, width = point_maps.shape[1:3]
    y, x = torch.meshgrid(*(torch.arange(n, device=point_maps.device, dtype=point_maps.dtype) for n in (height, width)), indexing="ij")
    pixels = torch.stack([x, y], dim=-1).flatten(0, 1).expand(len(point_maps), -1, -1)
    points, weights = point_maps.flatten(1, 2), confidence.flatten(1)
    if most_pixels is not None and most_pixels < points.shape[1]:
        chances = (
            weights.detach().float().cpu().nan_to_num(nan=0.0, posinf=0.0) + _TINY
        )  # a map that has failed fails in the solver, with a mark
        chosen = torch.multinomial(chances, most_pixels, generator=draw).to(points.device)
        points, pixels = (part.gather(1, chosen[..., None].expand(-1, -1, part.shape[-1])) for part in (points, pixels))
        weights = weights.gather(1, chosen)
    bounds = (float(height), float(width)) if swap_bounds else (float(width), float(height))
    problem = PoseProblem(points=points, pixels=pixels, weights=weights, intrinsics=intrinsics, bounds=bounds)
    solution = solve_poses(problem)
    to_world = invert_rigid(differentiable_poses(problem, solution))
    return invert_rigid(to_world[:1]) @ to_world, solution


def reproject(point_maps: Tensor, to_first: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Points "T N 3" in the first camera's axes, seen by each frame's camera: pixels "T N 2" and depths "T N".

    Args:
        to_first: camera-to-first-camera "T 4 4".
    """
    camera = transform_points(invert_rigid(to_first), point_maps)
    return project(camera, intrinsics), camera[..., 2]


def _weighted_sum(weights: Tensor, values: Tensor) -> Tensor:
    return torch.where(weights > 0, weights * values, 0).sum()
