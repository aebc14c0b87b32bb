"""From penalties of single observations to one number per clip."""

import torch
from torch import Tensor


def reduce_weighted(penalty: Tensor, weight: Tensor, reduction: str) -> Tensor:
    """Sum of weight times penalty over frames and tracks; "mean" divides by max(sum of the weights, 1).

    Args:
        penalty, weight: "B T N"; where the weight is 0 the penalty may be NaN.
        reduction: "mean" or "sum".
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
