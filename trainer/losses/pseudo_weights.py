"""How much a pseudo track counts in each frame."""

import torch
from torch import Tensor

from trainer.geometry import in_image


def pseudo_track_weights(trust: Tensor, pixels: Tensor, size: tuple[int, int], tracked_from: Tensor | None = None) -> Tensor:
    """w of the self-supervised losses: what the label set and its audit say, 0 outside the image and before a forward-only track began.

    Args:
        trust: "B T N" in [0, 1]: weights of an audit, or visibility times confidence.
        pixels: "B T N 2". size: (height, width) of their raster.
        tracked_from: int "B N", the query's frame, where tracks go forward in time only; None: they go both ways.
    Returns: "B T N".
    Source: TrajVG eq. (8) takes the tracker's visibility; the rest is ours.
    """
    counts = in_image(pixels, size)
    if tracked_from is not None:
        frames = torch.arange(trust.shape[1], device=trust.device)
        counts = counts & (frames[:, None] >= tracked_from[:, None])
    return torch.where(counts, trust, 0)
