"""Losses of Track4World's geometry stage on one clip: a point map of all frames after one scale and shift, cameras, magnitude, normals.

Point maps are in each frame's camera, truths in the unit of `trainer.losses.normalise_truth`. Scale and shift carry no gradient.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from networks.track4world.alignment import ScaleShift, fit_scale_shift, thin_by_masks
from trainer.families.track4world.local_alignment import LocalClip, local_loss
from trainer.families.track4world.settings import GeometryStageSettings, GeometryStageWeights
from trainer.geometry import assemble_rigid, point_map_intrinsics
from trainer.losses.alignment import solve_scale
from trainer.losses.geometry_terms import camera_losses, depth_edges, normal_loss
from trainer.losses.records import ClipGeometry, GeometryTruth
from trainer.losses.settings import GeometrySettings

_FEWEST = 10  # valid points of a clip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeometryStageTerms:
    """Losses of one clip, scalars before any weight."""

    points: Tensor
    poses: Tensor
    magnitude: Tensor
    normals: Tensor
    local: Tensor
    aligned: Tensor  # 1, or 0 where no positive scale is found: all but the magnitude are 0 then; for logs


def geometry_stage_terms(
    prediction: ClipGeometry, truth: GeometryTruth, weights: GeometryStageWeights, settings: GeometryStageSettings, draw: torch.Generator
) -> GeometryStageTerms:
    """All losses of one clip; normals and patches, which cost most, are 0 where they have no weight.

    Args:
        prediction: batch of 1, in the network's unit; gradient flows to points and cameras.
        truth: batch of 1, normalised.
        draw: of the patches' places, on the CPU.
    """
    points, true, valid = prediction.local_points[0], truth.local_points[0], truth.valid[0]
    zero = points.sum() * 0
    magnitude = magnitude_loss(points, valid)
    fit = align_clip(points, true, valid, settings)
    if fit is None:
        return GeometryStageTerms(points=zero, poses=zero, magnitude=magnitude, normals=zero, local=zero, aligned=zero.detach())
    aligned = align_points(points, fit)
    numbers = GeometrySettings(huber=settings.huber, translation_weight=settings.translation_weight, depth_edge=settings.depth_edge)
    translation, rotation = camera_losses(align_cameras(prediction.camera_to_world, fit), truth, numbers)
    normals = local = zero
    if weights.normals > 0 and (truth.with_normals is None or bool(truth.with_normals[0])):
        edges = depth_edges(truth.local_points[..., 2], settings.depth_edge)
        normals = normal_loss(aligned[None], truth.local_points, truth.valid & ~edges)[0]
    if weights.local > 0:
        intrinsics = point_map_intrinsics(truth.local_points) if truth.intrinsics is None else truth.intrinsics
        local = local_loss(LocalClip(points=points, truth=true, valid=valid, intrinsics=intrinsics[0], scale=fit.scale), settings, draw)
    return GeometryStageTerms(
        points=aligned_point_loss(aligned, true, valid, settings),
        poses=settings.translation_weight * translation[0] + rotation[0],
        magnitude=magnitude,
        normals=normals,
        local=local,
        aligned=torch.ones_like(zero).detach(),
    )


def align_clip(points: Tensor, truth: Tensor, valid: Tensor, settings: GeometryStageSettings) -> ScaleShift | None:
    """Scale and shift that bring the points of all frames of a clip nearest to the true ones, weighted by 1 / depth.

    The solver sees the nearest valid pixels of a square grid over each frame, `solver_points` of the clip at most.

    Args:
        points, truth: "T H W 3". valid: bool "T H W", of both.
    Returns: None for fewer than 10 valid points, or a scale that is not positive. Under `without_scale` "scale_alone" such a scale is
        solved again without shift, which is positive for points before the camera.
    Source: Track4World's video-level alignment, in the form of MoGe; 5.1 of our notes on what counts.
    """
    if int(valid.sum()) < _FEWEST:
        return None
    side = max(1, int((settings.solver_points / len(points)) ** 0.5))
    rows, columns, found = thin_by_masks(valid, side)
    frames = torch.arange(len(points), device=points.device)[:, None].expand_as(rows)
    weight = depth_weights(truth[..., 2], valid, settings)
    x, y, w = (values[frames, rows, columns][found] for values in (points.detach(), truth, weight))
    fit = fit_scale_shift(x, y, w, truncation=settings.truncation)
    if fit is not None and fit.scale <= 0 and settings.without_scale == "scale_alone":
        fit = ScaleShift(scale=float(solve_scale(x[None], y[None], w[None])), shift=(0.0, 0.0, 0.0))
    return fit if fit is not None and fit.scale > 0 else None


def align_points(points: Tensor, fit: ScaleShift) -> Tensor:
    """s P + t of points "... 3"."""
    return fit.apply(points.movedim(-1, 0)).movedim(0, -1)


def align_cameras(camera_to_world: Tensor, fit: ScaleShift) -> Tensor:
    """Cameras "... 4 4" of a world in which camera points became s P + t: c' = s c - R t, since s (R P + c) = R (s P + t) + c'."""
    rotation, centre = camera_to_world[..., :3, :3], camera_to_world[..., :3, 3]
    return assemble_rigid(rotation, fit.scale * centre - rotation @ centre.new_tensor(fit.shift))


def aligned_point_loss(aligned: Tensor, truth: Tensor, valid: Tensor, settings: GeometryStageSettings) -> Tensor:
    """Mean over valid pixels of the error (mean of the coordinates) relative to depth, a scalar.

    Args:
        aligned, truth: "T H W 3". valid: bool "T H W".
    """
    error = torch.where(valid[..., None], aligned - truth, 0).abs().mean(dim=-1)
    return (depth_weights(truth[..., 2], valid, settings) * error).sum() / valid.sum().clamp_min(1)


def magnitude_loss(points: Tensor, valid: Tensor) -> Tensor:
    """|mean norm - 1| of the predicted points "T H W 3" at valid pixels, before any alignment; 0 without a valid pixel."""
    norms = torch.where(valid, points.norm(dim=-1), 0)
    count = valid.sum()
    return torch.where(count > 0, (norms.sum() / count.clamp_min(1) - 1).abs(), 0)


def depth_weights(depth: Tensor, valid: Tensor, settings: GeometryStageSettings) -> Tensor:
    """1 / depth at valid pixels, at most `heaviest` times the clip's mean of that; 0 elsewhere. "T H W"."""
    inverse = torch.where(valid, 1 / torch.where(valid, depth, 1).clamp_min(1e-6), 0)
    return torch.minimum(inverse, settings.heaviest * inverse.sum() / valid.sum().clamp_min(1))
