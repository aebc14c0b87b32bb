"""Values of maps at pixels: integer coordinates are centres of pixels, outside counts as the border."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_bilinear(maps: Tensor, pixels: Tensor) -> Tensor:
    """Maps "B C h w" at (x, y) "B N 2" to "B N C"."""
    return _sampled(maps, pixels, "bilinear")


def sample_nearest(maps: Tensor, pixels: Tensor) -> Tensor:
    """Maps "B C h w" at the pixels nearest to (x, y) "B N 2" to "B N C"; halves go to even pixels, as far as float32 tells."""
    return _sampled(maps, pixels, "nearest")


def _sampled(maps: Tensor, pixels: Tensor, mode: str) -> Tensor:
    last = torch.tensor([maps.shape[-1] - 1, maps.shape[-2] - 1], device=pixels.device, dtype=pixels.dtype).clamp_min(1)
    grid = (2 * pixels / last - 1)[:, :, None]
    return F.grid_sample(maps, grid, mode=mode, padding_mode="border", align_corners=True)[..., 0].transpose(1, 2)
