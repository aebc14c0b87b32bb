"""The points of frame 0 that are to be tracked."""

import torch
from torch import Tensor

from pipeline.errors import DataError

_SPACING = 16  # pixels between the default grid's points


def grid_queries(images: Tensor, spacing: int = _SPACING) -> Tensor:
    """A grid for images "B T 3 H W": (x, y) "B N 2" at spacing/2, 3 spacing/2, ..., row by row."""
    height, width = images.shape[-2:]
    columns = torch.arange(spacing / 2, width, spacing, device=images.device)
    rows = torch.arange(spacing / 2, height, spacing, device=images.device)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).flatten(0, 1)
    return grid.float().expand(len(images), -1, -1)


def check_queries(query_points: Tensor, images: Tensor) -> None:
    """Raise DataError unless the queries "B N 2" belong to the images and there is one at least."""
    if query_points.ndim != 3 or query_points.shape[::2] != (len(images), 2) or not query_points.is_floating_point():
        raise DataError(
            f"query_points are {query_points.dtype}{list(query_points.shape)}, expected floating [{len(images)}, N, 2] as (x, y)"
        )
    if query_points.shape[1] == 0:
        raise DataError("query_points hold no query; give one at least, or call geometry() for a reconstruction without tracks")
