"""Queries that do not look at the image."""

import numpy as np


def grid_points(shape: tuple[int, int], count: int, *, margin_px: float = 0.0) -> np.ndarray:
    """Exactly `count` points over an image of `shape` (H, W), as even as its aspect ratio allows: float32 "N 2".

    Rows are evenly spaced, and the points of each row too, each in the middle of its own cell. Where `count` is not a product of
    rows and columns some rows hold one point more, spread over the rows: no hole is left anywhere, and each row is symmetric.
    """
    if count == 0:
        return np.zeros((0, 2), np.float32)
    height, width = (side - 2 * margin_px for side in shape)
    num_rows = min(count, max(1, round(np.sqrt(count * height / width))))
    per_row, extra = divmod(count, num_rows)
    longer = {int((index + 0.5) * num_rows / extra) for index in range(extra)}
    rows = []
    for row in range(num_rows):
        columns = per_row + (row in longer)
        x = margin_px + (np.arange(columns) + 0.5) * width / columns - 0.5
        rows.append(np.column_stack([x, np.full(columns, margin_px + (row + 0.5) * height / num_rows - 0.5)]))
    return np.concatenate(rows).astype(np.float32)


def random_points(shape: tuple[int, int], count: int, rng: np.random.Generator, *, margin_px: float = 0.0) -> np.ndarray:
    """`count` points drawn uniformly from the area [-0.5, W-0.5] x [-0.5, H-0.5] less the margin: float32 "N 2"."""
    height, width = shape
    low = margin_px - 0.5
    return rng.uniform((low, low), (width - 0.5 - margin_px, height - 0.5 - margin_px), (count, 2)).astype(np.float32)
