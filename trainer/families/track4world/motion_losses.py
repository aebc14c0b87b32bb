"""Losses of Track4World's motion stage at sparse tracks: 2D flow, visibility, confidence, 3D flow and its smoothness.

K iterations, T target frames, N points. Means divide by all T N places; weights are not normalised.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.families.track4world.settings import MotionSettings


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackPrediction:
    """Predictions at the tracks' source pixels, of all iterations."""

    tracks_px: Tensor  # "K T N 2"
    visibility_logits: Tensor  # "K T N"
    confidence_logits: Tensor  # "K T N"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlanarTargets:
    """Tracks in the image, true or labelled."""

    tracks_px: Tensor  # "T N 2", finite
    visible: Tensor  # bool "T N"
    position_trust: Tensor  # "T N" in [0, 1]: factor of a place's position and confidence; 0 where the position is not known
    visibility_trust: Tensor  # "T N" in [0, 1]: factor of its visibility


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SpatialTargets:
    """True tracks in space."""

    source: Tensor  # "N 3", points of the source's pixels; no gradient is meant to reach them: pass them detached
    points: Tensor  # "T N 3", in each target's camera, in the unit of `source`; finite
    known: Tensor  # bool "T N": the point is known, and that of the source pixel is the track's
    visible: Tensor  # bool "T N"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlanarTerms:
    """The three 2D terms before any weight: of every iteration "K", or over all iterations, scalars."""

    trajectory: Tensor
    visibility: Tensor
    confidence: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SpatialTerms:
    """The two 3D terms before any weight: of every iteration "K", or over all iterations, scalars."""

    position: Tensor
    smoothness: Tensor


def planar_terms(prediction: TrackPrediction, targets: PlanarTargets, settings: MotionSettings) -> PlanarTerms:
    """Distance of positions (mean of both coordinates), and the cross-entropies of visibility and confidence, "K" each.

    Confidence is asked for at visible points alone; its label, whether the same iteration's position is near the true one, is detached.
    """
    distance = _distances(prediction, targets)
    near = (prediction.tracks_px.detach() - targets.tracks_px).norm(dim=-1) <= settings.confident_px
    seen = targets.visible.to(distance.dtype).expand_as(distance)
    confidence = F.binary_cross_entropy_with_logits(prediction.confidence_logits, near.to(distance.dtype), reduction="none")
    visibility = F.binary_cross_entropy_with_logits(prediction.visibility_logits, seen, reduction="none")
    trust = targets.position_trust
    return PlanarTerms(
        trajectory=(position_weights(targets.visible, settings).to(distance.dtype) * trust * distance).mean(dim=(1, 2)),
        visibility=(targets.visibility_trust * visibility).mean(dim=(1, 2)),
        confidence=(confidence * seen * trust).mean(dim=(1, 2)),
    )


def planar_loss(prediction: TrackPrediction, targets: PlanarTargets, settings: MotionSettings) -> PlanarTerms:
    """The 2D terms over all iterations, scalars, reduced as the settings say.

    "paper": all three are decayed from the last iteration back, and summed. "alltracker", the ancestor's: visible and hidden positions are
    each a mean over their own, of those that are trusted at all; positions alone are decayed; means over iterations.
    """
    terms = planar_terms(prediction, targets, settings)
    decay = decays(terms.trajectory, settings)
    if settings.reduction == "paper":
        return PlanarTerms(
            trajectory=(decay * terms.trajectory).sum(),
            visibility=(decay * terms.visibility).sum(),
            confidence=(decay * terms.confidence).sum(),
        )
    weighted = targets.position_trust * _distances(prediction, targets)
    seen, hidden = (
        torch.where(chosen, weighted, 0).sum(dim=(1, 2)) / (chosen & (targets.position_trust > 0)).sum().clamp_min(1)
        for chosen in (targets.visible, ~targets.visible)
    )
    return PlanarTerms(
        trajectory=(decay * (seen + settings.occluded * hidden)).mean(),
        visibility=terms.visibility.mean(),
        confidence=terms.confidence.mean(),
    )


def spatial_loss(flow3d: Tensor, targets: SpatialTargets, anchors: Tensor, settings: MotionSettings) -> SpatialTerms:
    """Distance of source plus flow from the true points, and roughness of the flow, decayed and summed over iterations: scalars.

    Args:
        flow3d: "K T N 3", predicted at the source pixels, in the unit of the targets.
        anchors: int64 "A 1+k", each anchor and its neighbours, by `neighbourhoods`; without a neighbour there is no roughness.
    """
    distance = (targets.source + flow3d - targets.points).abs().mean(dim=-1)
    weight = position_weights(targets.visible, settings).to(distance.dtype) * targets.known
    terms = (weight * distance).mean(dim=(1, 2))
    rough = roughness(flow3d, anchors) if anchors.shape[1] > 1 else torch.zeros_like(terms)
    decay = decays(terms, settings)
    return SpatialTerms(position=(decay * terms).sum(), smoothness=(decay * rough).sum())


def roughness(flow3d: Tensor, neighbours: Tensor) -> Tensor:
    """Mean squared difference of the flow "K T N 3" at anchors and at their neighbours, by `neighbourhoods`: "K"."""
    flows = flow3d[:, :, neighbours]  # "K T A 1+k 3"
    return (flows[..., :1, :] - flows[..., 1:, :]).square().sum(dim=-1).mean(dim=(1, 2, 3))


def neighbourhoods(points: Tensor, anchors: Tensor, num_neighbours: int) -> Tensor:
    """Each anchor and its nearest other anchors: int64 "A 1+k", k = min(num_neighbours, A - 1).

    Args:
        points: "N 3", true, at the source's time. anchors: int64 "A", places in `points`.
    """
    if not len(anchors):
        return anchors[:, None]
    chosen = points[anchors]
    distances = torch.cdist(chosen, chosen, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(-1)  # itself first
    nearest = distances.topk(min(num_neighbours, len(anchors) - 1) + 1, dim=1, largest=False).indices
    return anchors[nearest]


def position_weights(visible: Tensor, settings: MotionSettings) -> Tensor:
    """1 of visible points, `occluded` of hidden ones."""
    return torch.where(visible, 1.0, settings.occluded)


def decays(per_iteration: Tensor, settings: MotionSettings) -> Tensor:
    """Weight of each of the K iterations: 1 of the last."""
    steps = torch.arange(len(per_iteration) - 1, -1, -1, device=per_iteration.device, dtype=per_iteration.dtype)
    return settings.decay**steps


def _distances(prediction: TrackPrediction, targets: PlanarTargets) -> Tensor:
    return (prediction.tracks_px - targets.tracks_px).abs().mean(dim=-1)
