"""Bilinear samples on a 7x7 grid around a point, taken as one 8x8 block of whole cells.

All 49 offsets of a patch share one fractional part, so a patch is a blend of four shifts of the 8x8 block of cells that it touches.
Cells beyond the border take the border's value, which clamps each coordinate separately (padding "border" of grid_sample).
Coordinates are (x, y) in cells of the level; whole numbers are cell centres. Blocks and patches are ordered x offset first, then y.
"""

import torch
from torch import Tensor

RADIUS = 3
PATCH = 2 * RADIUS + 1  # 7
BLOCK = PATCH + 1  # 8


def block_cells(cells: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Which cells a patch touches, and the fraction that blends them.

    Args:
        cells: "... 2", (x, y) of patch centres; any value, also far outside.
        size: (h, w) of the level.
    Returns: index of the cells within the level, y * w + x, int64 "... 64" (x offset first), and the fractions "... 2" in [0, 1).
    """
    height, width = size
    corner = cells.floor()
    offsets = torch.arange(-RADIUS, RADIUS + 2, device=cells.device)
    # far outside every cell is the border's: the clamp keeps the conversion to integers in range
    x, y = corner.clamp(-2 * BLOCK, max(size) + 2 * BLOCK).long().unsqueeze(-1).add(offsets).unbind(-2)
    index = (y.clamp(0, height - 1) * width).unsqueeze(-2) + x.clamp(0, width - 1).unsqueeze(-1)
    return index.flatten(-2), cells - corner


def blend(block: Tensor, fraction: Tensor) -> Tensor:
    """Blocks "... 8 8 K" and fractions "... 2" to bilinear samples "... 7 7 K"."""
    fx, fy = fraction.to(block.dtype)[..., None, None, None].unbind(-4)
    along_x = torch.lerp(block[..., :-1, :, :], block[..., 1:, :, :], fx)
    return torch.lerp(along_x[..., :-1, :], along_x[..., 1:, :], fy)


def sample_patches(level: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
    """Patches of features.

    Args:
        level: "F h w C".
        rows: int64 "P", which of the F frames each patch is taken from.
        cells: "P 2", patch centres.
    Returns: "P 49 C", patch index 7 * i + j at (x + i - 3, y + j - 3).
    """
    _, height, width, channels = level.shape
    index, fraction = block_cells(cells, (height, width))
    block = level.reshape(-1, channels)[index + rows[:, None] * (height * width)]
    return blend(block.unflatten(1, (BLOCK, BLOCK)).float(), fraction).flatten(1, 2).to(level.dtype)
