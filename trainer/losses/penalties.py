"""The Huber penalty rho, and the reduction of weighted penalties to one number per clip."""

from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["mean", "sum"]


def huber(residual: Tensor, delta: float) -> Tensor:
    """Sum over the last axis of a^2 / 2 where |a| <= delta, else delta (|a| - delta / 2).

    Args:
        residual: "... C".
        delta: in the residual's unit.
    Returns: "..."; the gradient is each coordinate clipped to [-delta, delta].
    Source: rho of TrajVG eq. (6) and (7); coordinates, and not the length, are ours.
    """
    inside = residual.clamp(-delta, delta)
    return (inside * (residual - inside / 2)).sum(-1)


def reduce_weighted(penalty: Tensor, weight: Tensor, reduction: Reduction) -> Tensor:
    """Sum of weight times penalty over frames and tracks; "mean" divides by max(sum of the weights, 1).

    Args:
        penalty, weight: "B T N"; where the weight is 0 the penalty may be NaN.
    Returns: "B"; 0 for a clip without weight. Gradient flows to the penalties of positive weight only.
    """
    total = torch.where(weight > 0, weight * penalty, 0).sum(dim=(1, 2))
    return total / weight.sum(dim=(1, 2)).clamp_min(1) if reduction == "mean" else total


def residual_where(weight: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
    """prediction - target, and a constant 0 where the weight is 0, so that no NaN of either reaches a gradient.

    Args:
        weight: "B T N".
        prediction, target: "B T N 3".
    """
    return torch.where((weight > 0)[..., None], prediction - target, 0)
