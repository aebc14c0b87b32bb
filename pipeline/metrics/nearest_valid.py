"""A coarse grid of valid pixels: what alignments whose time grows with the square of the points are run on."""

import numpy as np

from pipeline.errors import DataError


def nearest_valid_pixels(valid: np.ndarray, *, grid: tuple[int, int]) -> np.ndarray:
    """For each cell of a grid over the image the valid pixel nearest to the cell's centre, within a window of the cell's size.

    Args:
        valid: bool "H W".
        grid: rows and columns. With more of them than pixels a pixel stands for several cells.
    Returns:
        int64 "M": flat indices into H W, by cell in row-major order; cells without a valid pixel are left out. The first pixel wins a tie.
    Source: MoGe, mask-aware nearest resize.
    """
    if valid.ndim != 2 or valid.dtype != bool or min(grid) < 1:
        raise DataError(f"valid is {valid.dtype}{list(valid.shape)}, grid {list(grid)}; expected bool[H, W] and two positive numbers")
    height, width = valid.shape
    rows, row_distance = _windows(height, grid[0])
    columns, column_distance = _windows(width, grid[1])
    shape = (*grid, rows.shape[1], columns.shape[1])
    row = np.broadcast_to(rows[:, None, :, None], shape)
    column = np.broadcast_to(columns[None, :, None, :], shape)
    distance = row_distance[:, None, :, None] ** 2 + column_distance[None, :, None, :] ** 2
    distance = np.where(valid[row, column], distance, np.inf).reshape(*grid, -1)
    nearest = np.argmin(distance, axis=-1)[..., None]
    index = np.take_along_axis((row * width + column).reshape(*grid, -1), nearest, axis=-1)
    found = np.isfinite(np.take_along_axis(distance, nearest, axis=-1))
    return index[found].astype(np.int64)


def _windows(size: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis, per cell: the pixels of its window, and their distances from its centre (pixel centres at +0.5)."""
    extent = max(1.0, size / cells)
    centre = (np.arange(cells) + 0.5) * (size / cells)
    first = np.round(centre - extent / 2).astype(np.int64)
    pixels = np.minimum(first[:, None] + np.arange(int(np.ceil(extent))), size - 1)  # a window never lies wholly outside
    return pixels, pixels + 0.5 - centre[:, None]
