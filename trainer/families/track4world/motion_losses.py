"""Losses of Track4World's motion stage at sparse tracks: 2D flow, visibility, confidence, 3D flow and its smoothness.

K iterations, T target frames, N points. Means divide by all T N places; weights are not normalised.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionWeights:
    """Numbers of the motion stage. Decay and occluded weight are the paper's, the others its ancestor's or ours."""

    decay: float = 0.8  # an iteration counts as much for each that follows it
    occluded: float = 0.2  # of a hidden point's position, 1 of a visible one's
    trajectory: float = 0.05
    visibility: float = 1.0
    confidence: float = 1.0
    confident_px: float = 12.0  # a position as near as this is one to be confident of
    smoothness: float = 0.1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackPrediction:
    """Predictions at the tracks' source pixels, of all iterations."""

    tracks_px: Tensor  # "K T N 2"
    visibility_logits: Tensor  # "K T N"
    confidence_logits: Tensor  # "K T N"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlanarTerms:
    """The three 2D terms of every iteration, before any weight: "K" each."""

    trajectory: Tensor
    visibility: Tensor
    confidence: Tensor


def planar_terms(prediction: TrackPrediction, tracks_px: Tensor, visible: Tensor, weights: MotionWeights) -> PlanarTerms:
    """Distance of positions (mean of both coordinates), and the cross-entropies of visibility and confidence.

    Confidence is asked for at visible points alone; its label, whether the same iteration's position is near the true one, is detached.

    Args:
        tracks_px: "T N 2", true. visible: bool "T N", true.
    """
    distance = (prediction.tracks_px - tracks_px).abs().mean(dim=-1)
    near = (prediction.tracks_px.detach() - tracks_px).norm(dim=-1) <= weights.confident_px
    seen = visible.to(distance.dtype).expand_as(distance)
    confidence = F.binary_cross_entropy_with_logits(prediction.confidence_logits, near.to(distance.dtype), reduction="none")
    visibility = F.binary_cross_entropy_with_logits(prediction.visibility_logits, seen, reduction="none")
    return PlanarTerms(
        trajectory=(position_weights(visible, weights).to(distance.dtype) * distance).mean(dim=(1, 2)),
        visibility=visibility.mean(dim=(1, 2)),
        confidence=(confidence * seen).mean(dim=(1, 2)),
    )


def planar_loss(prediction: TrackPrediction, tracks_px: Tensor, visible: Tensor, weights: MotionWeights) -> Tensor:
    """The paper's 2D loss: all three terms, decayed from the last iteration back. Arguments as `planar_terms`. Returns a scalar."""
    terms = planar_terms(prediction, tracks_px, visible, weights)
    return (decays(terms.trajectory, weights) * _weighted(terms, weights)).sum()


def ancestor_planar_loss(prediction: TrackPrediction, tracks_px: Tensor, visible: Tensor, weights: MotionWeights) -> Tensor:
    """AllTracker's 2D loss: visible and hidden positions each a mean over their own; positions alone are decayed; means over iterations.

    Arguments as `planar_terms`. Returns a scalar. A clip without visible, or without hidden points, lacks that mean.
    """
    terms = planar_terms(prediction, tracks_px, visible, weights)
    distance, decay = (prediction.tracks_px - tracks_px).abs().mean(dim=-1), decays(terms.trajectory, weights)
    seen, hidden = (torch.where(chosen, distance, 0).sum(dim=(1, 2)) / chosen.sum().clamp_min(1) for chosen in (visible, ~visible))
    positions = weights.trajectory * (decay * (seen + weights.occluded * hidden)).mean()
    return positions + weights.visibility * terms.visibility.mean() + weights.confidence * terms.confidence.mean()


def spatial_loss(flow3d: Tensor, source: Tensor, points: Tensor, visible: Tensor, anchors: Tensor, weights: MotionWeights) -> Tensor:
    """The paper's 3D loss: distance of source plus flow from the true points, and smoothness of the flow, decayed. Returns a scalar.

    Args:
        flow3d: "K T N 3", predicted at the source pixels, in the unit of `points`.
        source: "N 3", the source's points; no gradient is meant to reach them: pass them detached.
        points: "T N 3", true, in each target's camera.
        visible: bool "T N".
        anchors: int64 "A 1+k", each anchor and its neighbours, by `neighbourhoods`; at least one neighbour.
    """
    distance = (source + flow3d - points).abs().mean(dim=-1)
    terms = (position_weights(visible, weights).to(distance.dtype) * distance).mean(dim=(1, 2))
    return (decays(terms, weights) * (terms + weights.smoothness * roughness(flow3d, anchors))).sum()


def roughness(flow3d: Tensor, neighbours: Tensor) -> Tensor:
    """Mean squared difference of the flow "K T N 3" at anchors and at their neighbours, by `neighbourhoods`: "K"."""
    flows = flow3d[:, :, neighbours]  # "K T A 1+k 3"
    return (flows[..., :1, :] - flows[..., 1:, :]).square().sum(dim=-1).mean(dim=(1, 2, 3))


def neighbourhoods(points: Tensor, anchors: Tensor, num_neighbours: int) -> Tensor:
    """Each anchor and its nearest other anchors: int64 "A 1+k", k = min(num_neighbours, A - 1).

    Args:
        points: "N 3", true, at the source's time. anchors: int64 "A", places in `points`.
    """
    chosen = points[anchors]
    distances = torch.cdist(chosen, chosen, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(-1)  # itself first
    nearest = distances.topk(min(num_neighbours, len(anchors) - 1) + 1, dim=1, largest=False).indices
    return anchors[nearest]


def position_weights(visible: Tensor, weights: MotionWeights) -> Tensor:
    """1 of visible points, `occluded` of hidden ones."""
    return torch.where(visible, 1.0, weights.occluded)


def decays(per_iteration: Tensor, weights: MotionWeights) -> Tensor:
    """Weight of each of the K iterations: 1 of the last."""
    steps = torch.arange(len(per_iteration) - 1, -1, -1, device=per_iteration.device, dtype=per_iteration.dtype)
    return weights.decay**steps


def _weighted(terms: PlanarTerms, weights: MotionWeights) -> Tensor:
    planar = weights.trajectory * terms.trajectory
    return planar + weights.visibility * terms.visibility + weights.confidence * terms.confidence
