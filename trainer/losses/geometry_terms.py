"""π³'s supervised losses on point maps, cameras and confidence [π³ code]. Each is a mean within a clip; clips count alike."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import DataError
from trainer.geometry import invert_rigid, masked_mean, rotation_angle
from trainer.losses.alignment import AlignedGeometry
from trainer.losses.huber import huber
from trainer.losses.normals import depth_edges, normal_loss
from trainer.losses.records import GeometryTruth, NormalisedTruth
from trainer.losses.settings import GeometrySettings, GeometryWeights


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GeometryTerms:
    """One number per clip and term, "B", unweighted."""

    points: Tensor
    camera: Tensor  # 100 L_t + L_R
    translation: Tensor  # L_t, of which the camera loss is made; to be watched
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
            normals=_normals(aligned, truth, settings) if normals else None,
            confidence=confidence,
        )


def _normals(aligned: AlignedGeometry, truth: GeometryTruth, settings: GeometrySettings) -> Tensor:
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
