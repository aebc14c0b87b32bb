"""Statistics of what a mask selects, in batches; masked values may hold anything, NaN too."""

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over all axes but the first, "B"; 0 where nothing is selected. Gradient flows to the selected values only.

    Args:
        values, mask: "B ..."; the mask bool.
    """
    chosen = torch.where(mask, values, 0).flatten(1)
    return chosen.sum(1) / mask.flatten(1).sum(1).clamp_min(1)


def masked_median(values: Tensor, mask: Tensor) -> Tensor:
    """Median over the last axis, the mean of the two middle values where their number is even.

    Args:
        values, mask: "... K"; the mask bool.
    Returns: "..."; 0 where nothing is selected.
    """
    ordered = torch.where(mask, values, float("inf")).sort(dim=-1).values
    count = mask.sum(-1, keepdim=True)
    middle = torch.cat([(count - 1).clamp_min(0) // 2, count // 2], dim=-1).clamp_max(max(values.shape[-1] - 1, 0))
    return torch.where(count[..., 0] > 0, ordered.gather(-1, middle).mean(-1), 0)
