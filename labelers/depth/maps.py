"""From what a network gives to depth maps of the clip's size, with 0 where nothing is known."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.records.labels import DepthScale

LEAST, MOST = 1e-9, 1e9  # depth outside is none, in whatever unit: label sets reach a little farther
FARTHEST = 1e6  # times the nearest depth of its frame: what is farther in networks of inverse depth (sky) has no depth


def resize_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps "T h w" at another size, float32, by interpolation between neighbours: no filter that overshoots at edges of depth."""
    return F.interpolate(maps[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0]


def depth_of(prediction: Tensor, scale: DepthScale) -> np.ndarray:
    """Depth float32 "T H W" of predictions; 0 where they are no number, not positive, or too far (`MOST`, `FARTHEST`) or near (`LEAST`).

    Args:
        prediction: "T H W": depth, or where the scale is `inverse` one over it.
    """
    prediction = prediction.float()
    known = prediction.isfinite() & (prediction > 0)
    if scale == "inverse":
        nearest = torch.where(known, prediction, 0).amax(dim=(1, 2), keepdim=True)
        known &= prediction >= nearest / FARTHEST
        prediction = 1 / torch.where(known, prediction, 1)
    known &= (prediction >= LEAST) & (prediction <= MOST)
    return np.asarray(torch.where(known, prediction, 0).cpu().numpy())
