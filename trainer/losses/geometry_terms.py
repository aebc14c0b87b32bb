"""π³'s supervised losses on point maps, cameras and confidence [π³ code]. Each is a mean within a clip; clips count alike."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import DataError
from trainer.geometry import invert_rigid, masked_mean, rotation_angle
from trainer.losses.alignment import AlignedGeometry
from trainer.losses.penalties import huber
from trainer.losses.records import GeometryTruth, NormalisedTruth
from trainer.losses.settings import GeometrySettings, GeometryWeights


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeometryTerms:
    """One number per clip and term, "B", unweighted."""

    points: Tensor
    camera: Tensor  # 100 L_t + L_R
    translation: Tensor  # L_t, a part of the camera loss; for logs
    rotation: Tensor  # L_R, radians, likewise
    normals: Tensor | None = None  # 0 for clips without good normals
    confidence: Tensor | None = None  # the third stage's

    def total(self, weights: GeometryWeights) -> Tensor:
        """The weighted sum, "B"."""
        total = weights.points * self.points + weights.camera * self.camera
        total = total if self.normals is None else total + weights.normals * self.normals
        return total if self.confidence is None else total + weights.confidence * self.confidence


def geometry_terms(
    aligned: AlignedGeometry,
    normalised: NormalisedTruth,
    settings: GeometrySettings,
    confidence_logits: Tensor | None = None,
    *,
    normals: bool = True,
) -> GeometryTerms:
    """All of π³'s losses on labelled clips.

    Args:
        confidence_logits: "B T H W"; None leaves the confidence loss out.
        normals: False leaves theirs out, which takes as long as all the others.
    """
    truth = normalised.truth
    with torch.autocast(truth.valid.device.type, enabled=False):
        translation, rotation = camera_losses(aligned.camera_to_world, truth, settings)
        confidence = None if confidence_logits is None else confidence_loss(confidence_logits, aligned, truth, settings)
        return GeometryTerms(
            points=masked_mean(point_errors(aligned, truth), truth.valid),
            camera=settings.translation_weight * translation + rotation,
            translation=translation.detach(),
            rotation=rotation.detach(),
            normals=_normal_term(aligned, truth, settings) if normals else None,
            confidence=confidence,
        )


def _normal_term(aligned: AlignedGeometry, truth: GeometryTruth, settings: GeometrySettings) -> Tensor:
    edges = depth_edges(truth.local_points[..., 2], settings.depth_edge)
    loss = normal_loss(aligned.local_points, truth.local_points, truth.valid & ~edges)
    return loss if truth.with_normals is None else loss * truth.with_normals


def point_errors(aligned: AlignedGeometry, truth: GeometryTruth) -> Tensor:
    """wgt |s* P^ - P*|, mean over the coordinates: relative to depth, "B T H W"; 0 where not valid. Their mean is L_pts."""
    difference = torch.where(truth.valid[..., None], aligned.local_points - truth.local_points, 0)
    return aligned.weight * difference.abs().mean(dim=-1)


def camera_losses(camera_to_world: Tensor, truth: GeometryTruth, settings: GeometrySettings) -> tuple[Tensor, Tensor]:
    """Motions between all ordered pairs of different frames, C_i^-1 C_j, against the true ones.

    Args:
        camera_to_world: "B T 4 4", in the truth's unit; the world frame plays no part.
    Returns:
        L_t "B": mean Huber over pairs and coordinates; L_R "B": mean angle, radians. 0 for a clip without two frames of valid pose.
    """
    frames = camera_to_world.shape[1]
    pairs = ~torch.eye(frames, dtype=torch.bool, device=camera_to_world.device)
    known = torch.ones_like(truth.valid[:, :, 0, 0]) if truth.pose_valid is None else truth.pose_valid
    usable = known[:, :, None] & known[:, None] & pairs
    predicted, true = (invert_rigid(poses)[:, :, None] @ poses[:, None] for poses in (camera_to_world, truth.camera_to_world))
    offset = huber(predicted[..., :3, 3] - true[..., :3, 3], settings.huber) / 3
    turn = rotation_angle(predicted[..., :3, :3], true[..., :3, :3])
    return masked_mean(offset, usable), masked_mean(turn, usable)


def confidence_loss(logits: Tensor, aligned: AlignedGeometry, truth: GeometryTruth, settings: GeometrySettings) -> Tensor:
    """Binary cross-entropy of "this point is right" over valid pixels, plus that of "no" over sky without a valid point, "B".

    Args:
        logits: "B T H W". Gradient flows to them alone: whether a point is right is taken as it is.
    Raises: DataError if the logits are not of the truth's size.
    """
    if logits.shape != truth.valid.shape:
        raise DataError(f"confidence is {list(logits.shape)}, expected {list(truth.valid.shape)}")
    right = (point_errors(aligned, truth).detach() < settings.confident_below).to(logits.dtype)
    loss = masked_mean(F.binary_cross_entropy_with_logits(logits, right, reduction="none"), truth.valid)
    if truth.sky_mask is None:
        return loss
    return loss + masked_mean(F.softplus(logits), truth.sky_mask & ~truth.valid)


_SMALLEST, _LARGEST, _BETA = (math.radians(degrees) for degrees in (1.0, 90.0, 3.0))


def normal_loss(prediction: Tensor, truth: Tensor, usable: Tensor) -> Tensor:
    """Mean smoothed angle between predicted and true corner normals.

    Each 2 x 2 cell has four corners; a corner's normal is the cross product of the two edges that leave it. Angles are clamped to [1, 90]
    degrees, so that nothing is learned below and beyond, and smoothed: a^2 / (2 beta) below beta = 3 degrees, a - beta / 2 above. Summed
    over corners, averaged over all cells (one with unusable pixels counts 0), divided by 4 times the longer side.

    Args:
        prediction: "B T H W 3", scaled to the truth. truth: "B T H W 3"; anything where not usable.
        usable: bool "B T H W": valid, and no edge of depth.
    Returns: "B"; 0 for maps one pixel high or wide. Gradient flows to the prediction.
    """
    total = prediction.new_zeros(len(prediction))
    height, width = usable.shape[2:]
    if min(height, width) < 2:
        return total
    truth = torch.where(usable[..., None], truth, 0)
    predicted_cells, true_cells, usable_cells = (_corners(values) for values in (prediction, truth, usable))
    for corner in range(4):
        before, after = (corner - 1) % 4, (corner + 1) % 4
        counts = usable_cells[before] & usable_cells[corner] & usable_cells[after]
        normals = [torch.cross(c[before] - c[corner], c[after] - c[corner], dim=-1) for c in (predicted_cells, true_cells)]
        angle = _smooth_angle(_angle(*(torch.where(counts[..., None], normal, 1) for normal in normals)))
        total = total + torch.where(counts, angle, 0).flatten(1).mean(1)
    return total / (4 * max(height, width))


def depth_edges(depth: Tensor, relative: float) -> Tensor:
    """Pixels around which depth changes by more than a share of itself within 3 x 3 pixels, bool "B T H W".

    Unknown pixels take part with their value: 0, as readers leave it, makes their neighbours edges.

    Args:
        depth: "B T H W", of the truth.
    """
    flat = depth.flatten(0, 1)
    span = F.max_pool2d(flat, 3, stride=1, padding=1) + F.max_pool2d(-flat, 3, stride=1, padding=1)
    return ((span / flat).nan_to_num() > relative).unflatten(0, depth.shape[:2])


def _corners(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of every cell, around it: left upper, right upper, right lower, left lower."""
    return values[:, :, :-1, :-1], values[:, :, :-1, 1:], values[:, :, 1:, 1:], values[:, :, 1:, :-1]


def _angle(first: Tensor, second: Tensor) -> Tensor:
    across = torch.linalg.cross(first, second).square().sum(-1)
    # the root's gradient is infinite at 0: keep it away from there, far below the smallest angle that counts
    length = torch.where(across > 0, across, 1).sqrt() * (across > 0)
    return torch.atan2(length + 1e-12, (first * second).sum(-1)).clamp(_SMALLEST, _LARGEST)


def _smooth_angle(angle: Tensor) -> Tensor:
    return torch.where(angle < _BETA, angle.square() / (2 * _BETA), angle - _BETA / 2)
