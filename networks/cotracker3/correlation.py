"""Local 4-D correlation between a point's query patches and the patches around its current estimate, embedded by a small MLP.

All 49 offsets of a patch share one fractional part, so a patch is a blend of four shifts of the 8x8 block of cells that it touches.
Cells beyond the border take the border's value, which clamps each coordinate separately (padding "border" of grid_sample).
Coordinates are (x, y) in cells of the level; whole numbers are cell centres. Blocks and patches are ordered x offset first, then y.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.cotracker3.features import LEVELS, Features

RADIUS = 3
PATCH = 2 * RADIUS + 1  # 7
BLOCK = PATCH + 1  # 8
VOLUME = PATCH**4  # 2401
_POINTS_SAMPLED_AT_ONCE = 64


class CorrelationMlp(nn.Module):
    """A correlation volume to its embedding; one MLP for all levels, exact GELU."""

    def __init__(self, hidden: int = 384, embedding: int = 256) -> None:
        super().__init__()
        self.fc1 = nn.Linear(VOLUME, hidden)
        self.fc2 = nn.Linear(hidden, embedding)

    def forward(self, volume: Tensor) -> Tensor:
        """ "... 2401" to "... E", E of the public checkpoints 256."""
        return self.fc2(F.gelu(self.fc1(volume)))


def query_patches(features: Features, rows: Tensor, cells: Tensor) -> tuple[Tensor, ...]:
    """Patches of features around each point's query.

    Args:
        rows: int64 "P", the frame of each query.
        cells: "P 2", (x, y) in cells of level 0.
    Returns: per level "P C 49".
    """
    return tuple(_sample_in_parts(level, rows, cells / 2**number) for number, level in enumerate(features.levels))


def _sample_in_parts(level: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
    patches = level.new_empty((len(rows), level.shape[-1], PATCH**2))
    for start in range(0, len(rows), _POINTS_SAMPLED_AT_ONCE):
        part = slice(start, start + _POINTS_SAMPLED_AT_ONCE)
        patches[part] = sample_patches(level, rows[part], cells[part]).mT
    return patches


def correlate(level: Tensor, rows: Tensor, patches: Tensor, cells: Tensor) -> Tensor:
    """Correlation volumes of one level: V[p, t, (i, j), (a, b)] = <target patch at (i, j), query patch at (a, b)>, without scaling.

    The 64 cells that a target patch touches are correlated first and blended after: 49 values per cell to blend instead of 128.

    Args:
        level: "F h w C".
        rows: int64 "P T", the frame in `level` of each time step.
        patches: "P C 49", query patches of this level.
        cells: "P T 2", current estimates in cells of this level.
    Returns: "P T 2401".
    """
    _, height, width, channels = level.shape
    num_points, num_steps = rows.shape
    index, fraction = block_cells(cells, (height, width))
    index += rows[..., None] * (height * width)
    block = level.view(-1, channels).index_select(0, index.flatten()).view(num_points, -1, channels)
    products = torch.bmm(block, patches).view(num_points, num_steps, BLOCK, BLOCK, PATCH**2)
    return blend(products.float(), fraction).flatten(2)  # blended in float32 under autocast too


def correlation_embedding(mlp: nn.Module, features: Features, *, rows: Tensor, patches: tuple[Tensor, ...], cells: Tensor) -> Tensor:
    """Embeddings of all levels side by side.

    Args:
        rows: int64 "P T", the frame in `features` of each time step.
        patches: per level "P C 49".
        cells: "P T 2", current estimates in cells of level 0.
    Returns: "P T 4E", level 0 first.
    """
    volumes = (correlate(level, rows, patches[number], cells / 2**number) for number, level in enumerate(features.levels))
    return torch.cat([mlp(volume) for volume in volumes], -1)


def bytes_per_point(num_steps: int, *, channels: int, embedding: int) -> int:
    """Working memory of `correlation_embedding` per point, float32: block, products, two stages of blending, embeddings."""
    return 4 * num_steps * (BLOCK**2 * channels + (BLOCK**2 + BLOCK * PATCH + PATCH**2) * PATCH**2 + LEVELS * embedding)


def block_cells(cells: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The cells that a patch touches, and the fraction that blends them.

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
