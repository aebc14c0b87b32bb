"""Local 4-D correlation between a point's query patches and the patches around its current estimate, embedded by a small MLP."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labelers.cotracker3.features import CHANNELS, LEVELS, Features
from labelers.cotracker3.sampling import BLOCK, PATCH, blend, block_cells, sample_patches

VOLUME = PATCH**4  # 2401
EMBEDDING = 256  # per level
_POINTS_SAMPLED_AT_ONCE = 64


class CorrelationMlp(nn.Module):
    """A correlation volume to its embedding; one MLP for all levels, exact GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(VOLUME, 384)
        self.fc2 = nn.Linear(384, EMBEDDING)

    def forward(self, volume: Tensor) -> Tensor:
        """ "... 2401" to "... 256"."""
        return self.fc2(F.gelu(self.fc1(volume)))


def query_patches(features: Features, rows: Tensor, cells: Tensor) -> tuple[Tensor, ...]:
    """What each point looks like where it was queried.

    Args:
        rows: int64 "P", the frame of each query.
        cells: "P 2", (x, y) in cells of level 0.
    Returns: per level "P 128 49".
    """
    return tuple(_sampled(level, rows, cells / 2**number) for number, level in enumerate(features.levels))


def _sampled(level: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
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
        patches: per level "P 128 49".
        cells: "P T 2", current estimates in cells of level 0.
    Returns: "P T 1024", level 0 first.
    """
    volumes = (correlate(level, rows, patches[number], cells / 2**number) for number, level in enumerate(features.levels))
    return torch.cat([mlp(volume) for volume in volumes], -1)


def bytes_per_point(num_steps: int) -> int:
    """Working memory of `correlation_embedding` per point, float32: block, products, two stages of blending, embeddings."""
    return 4 * num_steps * (BLOCK**2 * CHANNELS + (BLOCK**2 + BLOCK * PATCH + PATCH**2) * PATCH**2 + LEVELS * EMBEDDING)
