"""Supervised losses of pairs (first frame, frame j): confidence-weighted distances on one scale, and weights for what moves.

Maps are of S pairs of one clip, all in the first camera's axes. Source: St4RTrack's training code, and DUSt3R's confidence loss.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

ALPHA = 0.2  # price of confidence
DYNAMIC_FACTOR = 5.0  # weight of what moves, against the highest (or mean) confidence of what does not
_SMALLEST = 1e-8

StaticLevel = Literal["max", "mean"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairTargets:
    """Truth of S pairs in the first camera's axes."""

    trajectory: Tensor  # float32 "S H W 3": where the point of each pixel of frame 0 is at time j; anything where not known
    trajectory_mask: Tensor  # bool "S H W"
    geometry: Tensor  # float32 "S H W 3": points of frame j at time j; anything where not valid
    geometry_mask: Tensor  # bool "S H W"


def mean_distance(points: Tensor, valid: Tensor) -> Tensor:
    """Mean distance of valid points from the first camera, "S": the unit of a pair.

    Args:
        points: "S H W 3". valid: bool "S H W".
    """
    lengths = torch.where(valid, points.norm(dim=-1), 0).flatten(1)
    return (lengths.sum(1) / valid.flatten(1).sum(1).clamp_min(1)).clamp_min(_SMALLEST)


def reference_mean_distance(points: Tensor) -> Tensor:
    """The same as the public code evaluates it: over all pixels, valid or not, and a third of it; "S"."""
    return points.norm(dim=-1).flatten(1).mean(1) / 3


def confidence_loss(distance: Tensor, confidence: Tensor, mask: Tensor, *, alpha: float = ALPHA) -> Tensor:
    """Mean of c e - alpha log c over the mask; 0 where it is empty.

    Args:
        distance, confidence: "..."; confidence above 0. mask: bool "...".
    """
    penalty = torch.where(mask, confidence * distance - alpha * confidence.log(), 0)
    return penalty.sum() / mask.sum().clamp_min(1)


def distances(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Euclidean distance of maps "... 3" where the mask is set, "..."; 0 elsewhere, without gradient."""
    difference = torch.where(mask[..., None], prediction - target, 0)
    return torch.where(mask, difference.square().sum(-1).clamp_min(_SMALLEST**2).sqrt(), 0)


def dynamic_pixels(displacement: Tensor, known: Tensor, *, quantile: float, or_mean: bool) -> Tensor:
    """Pixels of a pair that move: at or above a threshold of the displacements of those that are known, bool "S H W".

    Args:
        displacement: "S H W", 0 or more. known: bool "S H W".
        quantile: of the known displacements (0.75; 0.5 for Kubric).
        or_mean: the threshold is the larger of that quantile and the mean.
    """
    moving = torch.zeros_like(known)
    for pair in range(len(known)):
        values = displacement[pair][known[pair]]
        if len(values):
            threshold = torch.quantile(values, quantile)
            threshold = torch.maximum(threshold, values.mean()) if or_mean else threshold
            moving[pair] = known[pair] & (displacement[pair] >= threshold)
    return moving


def reweight_dynamic(
    confidence: Tensor, moving: Tensor, known: Tensor, *, factor: float = DYNAMIC_FACTOR, level: StaticLevel = "max"
) -> Tensor:
    """Confidence with a constant in place of what the network says of moving pixels, which it would rather doubt than learn.

    Args:
        confidence: "S H W". moving, known: bool "S H W".
    Returns: "S H W"; moving pixels have `factor` times the highest (or mean) confidence of the pair's known static ones, at least 1, and
        no gradient.
    """
    result = []
    for values, mask, counts in zip(confidence, moving, known, strict=True):
        still = values.detach()[counts & ~mask]
        basis = (still.max() if level == "max" else still.mean()).clamp_min(1) if len(still) else values.new_ones(())
        result.append(torch.where(mask, factor * basis, values))
    return torch.stack(result)
