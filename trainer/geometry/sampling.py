"""Values of maps at pixels: (x, y), integer coordinates are centres of pixels, outside counts as the border."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_maps(maps: Tensor, pixels: Tensor) -> Tensor:
    """Bilinear values of one map per frame at that frame's pixels.

    Args:
        maps: "B T H W C".
        pixels: "B T N 2", of the map's raster; finite.
    Returns:
        "B T N C". Gradient flows to the four pixels around each place, with the bilinear weights, and to `pixels`; callers detach.
    Source: TrajVG's Sample(P_t, q): align_corners True, border clamp.
    """
    clips, frames, height, width, _ = maps.shape
    last = torch.tensor([width - 1, height - 1], device=pixels.device, dtype=pixels.dtype).clamp_min(1)
    grid = (2 * pixels / last - 1).flatten(0, 1)[:, :, None]  # "BT N 1 2"
    images = maps.flatten(0, 1).movedim(-1, 1)  # "BT C H W"
    values = F.grid_sample(images, grid.to(maps.dtype), mode="bilinear", padding_mode="border", align_corners=True)
    return values[..., 0].mT.unflatten(0, (clips, frames))


def in_image(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Whether pixels "... 2" lie on an image of (height, width): bool "...", True up to half a pixel outside the outermost centres."""
    height, width = size
    x, y = pixels.unbind(-1)
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
