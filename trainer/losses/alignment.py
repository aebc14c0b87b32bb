"""Truth and prediction on one scale: both of size 1, and the one factor per clip that brings them nearest to each other [π³ code]."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.errors import DataError
from trainer.geometry import motion_to_anchor, scale_motion, transform_points
from trainer.losses.records import ClipGeometry, GeometryTruth, NormalisedTruth
from trainer.losses.settings import GeometrySettings


def normalise_truth(truth: GeometryTruth) -> NormalisedTruth:
    """Bring ground truth into the first camera's frame and divide it by the mean distance of its points from there.

    A clip without a single valid point of a frame with a valid pose keeps its unit. The mean leaves frames without valid pose out.
    """
    cameras = motion_to_anchor(truth.camera_to_world, 0)
    in_first = transform_points(cameras, truth.local_points.flatten(2, 3)).unflatten(2, truth.valid.shape[2:])
    placed = truth.valid if truth.pose_valid is None else truth.valid & truth.pose_valid[..., None, None]
    norm = _mean_distance(in_first, placed)
    norm = torch.where(placed.flatten(1).any(1), norm, 1)
    points = truth.local_points / norm[:, None, None, None, None]
    return NormalisedTruth(truth=replace(truth, local_points=points, camera_to_world=scale_motion(cameras, 1 / norm)), norm=norm)


def normalise_prediction(prediction: ClipGeometry, valid: Tensor) -> tuple[ClipGeometry, Tensor]:
    """Divide a prediction by its points' mean distance from their own cameras.

    Args:
        valid: bool "B T H W", of the truth.
    Returns:
        The prediction of size 1, without tracks, and the divisor, "B" (1 where nothing is valid). Gradient flows through the divisor too.
    """
    norm = _mean_distance(prediction.local_points, valid)
    norm = torch.where(valid.flatten(1).any(1), norm, 1)
    points = prediction.local_points / norm[:, None, None, None, None]
    return replace(prediction, local_points=points, camera_to_world=scale_motion(prediction.camera_to_world, 1 / norm), tracks=None), norm


def depth_weights(depth: Tensor, valid: Tensor, nearest: float) -> Tensor:
    """1 / depth, so that errors count relative to it: 1 / (max(z, nearest mean z of the frame) + 1e-6), 0 where not valid.

    Args:
        depth, valid: "B T ..."; the depth anything where not valid.
        nearest: of the frame's mean depth.
    """
    known = torch.where(valid, depth, 0)
    per_frame = known.flatten(2).sum(2) / valid.flatten(2).sum(2).clamp_min(1)
    floor = nearest * per_frame.reshape(per_frame.shape + (1,) * (depth.ndim - 2))
    return torch.where(valid, 1 / (torch.maximum(known, floor) + 1e-6), 0)


def _mean_distance(points: Tensor, valid: Tensor) -> Tensor:
    distance = points.norm(dim=-1)  # its gradient is 0 at 0
    total = torch.where(valid, distance, 0).flatten(1).sum(1)
    return total / (valid.flatten(1).sum(1) + 1e-8)


def solve_scale(prediction: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """argmin over s of sum of weight |s x - y|, summed over coordinates.

    The objective is convex and bends at the ratios y / x only, so its minimiser is the first ratio, in increasing order, up to which
    lies half of the mass weight |x|. Coordinates with x = 0 do not depend on s and play no part.

    Args:
        prediction, truth: "B K C". weight: "B K", 0 leaves a point out.
    Returns:
        "B", of either sign, detached; 1 for a clip with nothing to solve on.
    """
    x, y = prediction.detach().flatten(1), truth.detach().flatten(1)
    mass = (weight[..., None] * prediction.detach().abs()).flatten(1)
    usable = mass > 0
    ratio = torch.where(usable, y / torch.where(usable, x, 1), float("inf"))
    ratio, order = ratio.sort(dim=1)
    below = torch.where(usable, mass, 0).gather(1, order).cumsum(dim=1)
    half = (2 * below - below[:, -1:] >= 0).to(torch.uint8).argmax(dim=1, keepdim=True)  # the first of the largest
    return torch.where(usable.any(1), ratio.gather(1, half)[:, 0], 1)


def make_positive(scale: Tensor) -> Tensor:
    """Scales with the sign of non-positive ones turned."""
    return torch.where(scale > 0, scale, -scale)


def choose_evenly(valid: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """At most `count` of the valid places of each clip, evenly over their order: the floor(k n / count)-th of n, or all of them.

    Args:
        valid: bool "B P".
    Returns: places, int64 "B K" with K = min(count, P), and whether each is one, bool "B K".
    """
    rank = valid.cumsum(dim=1)
    total = rank[:, -1:]
    k = torch.arange(min(count, valid.shape[1]), device=valid.device)
    wanted = torch.where(total > count, k * total // count, k)
    places = torch.searchsorted(rank, wanted + 1).clamp_max(valid.shape[1] - 1)
    return places, k < total


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AlignedGeometry:
    """A prediction aligned to the truth, in the truth's normalised unit. Gradient flows to the network's points and cameras."""

    local_points: Tensor  # "B T H W 3": s* times the prediction of size 1
    camera_to_world: Tensor  # "B T 4 4", translations likewise
    weight: Tensor  # "B T H W": about 1 / true depth, 0 where no point is known
    solved_scale: Tensor  # "B": s*, detached
    scale: Tensor  # "B": from the network's unit to the normalised one, s* / N; N, the points' mean distance, carries gradient


def align_geometry(prediction: ClipGeometry, normalised: NormalisedTruth, settings: GeometrySettings) -> AlignedGeometry:
    """Normalise a prediction and scale it to the truth.

    s* minimises the sum of weight |s P^ - P*|_1 over up to `solver_points` valid pixels of all frames; detached, and turned positive.
    The division by the prediction's own size carries gradient.

    Raises: DataError if prediction and truth are of different sizes.
    """
    truth = normalised.truth
    if prediction.local_points.shape != truth.local_points.shape:
        raise DataError(f"predicted points are {list(prediction.local_points.shape)}, true ones {list(truth.local_points.shape)}")
    unit, norm = normalise_prediction(prediction, truth.valid)
    weight = depth_weights(truth.local_points[..., 2], truth.valid, settings.nearest_depth)
    places, chosen = choose_evenly(truth.valid.flatten(1), settings.solver_points)
    x, y = (points.flatten(1, 3).gather(1, places[..., None].expand(-1, -1, 3)) for points in (unit.local_points, truth.local_points))
    solved = make_positive(solve_scale(x, torch.where(chosen[..., None], y, 0), weight.flatten(1).gather(1, places) * chosen))
    return AlignedGeometry(
        local_points=unit.local_points * solved[:, None, None, None, None],
        camera_to_world=scale_motion(unit.camera_to_world, solved),
        weight=weight,
        solved_scale=solved,
        scale=solved / norm,
    )
