"""The scale that brings a prediction nearest to the truth in the weighted L1 norm, exactly: a weighted median of ratios."""

import torch
from torch import Tensor


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


def positive(scale: Tensor) -> Tensor:
    """Scales with the sign of non-positive ones turned."""
    return torch.where(scale > 0, scale, -scale)


def evenly_chosen(valid: Tensor, count: int) -> tuple[Tensor, Tensor]:
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
