"""Regular grids of points, as the public predictors place them."""

import numpy as np


def regular_grid(num_side: int, extent: tuple[float, float], *, center: tuple[float, float] | None = None) -> np.ndarray:
    """Points on a square grid.

    Args:
        num_side: points per side; a single one lies in the middle, 0 gives none.
        extent: (H, W) that the grid covers, less a margin of W/64 on every side.
        center: (y, x) of the middle, by default that of the extent.
    Returns: float32 "G*G 2", (x, y), row by row.
    """
    height, width = extent
    center_y, center_x = center or (height / 2, width / 2)
    if num_side == 1:
        return np.array([[center_x, center_y]], np.float32)
    margin = width / 64
    xs = np.linspace(margin - width / 2 + center_x, width / 2 + center_x - margin, num_side)
    ys = np.linspace(margin - height / 2 + center_y, height / 2 + center_y - margin, num_side)
    return np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float32)


def inside_mask(points: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which points fall on a mask.

    Args:
        points: "N 2", (x, y) in pixels of `size`.
        mask: "H W" of any size; brought to `size` (H, W) by taking the nearest pixel towards the origin.
    Returns: bool "N".
    """
    rows, columns = (np.arange(target) * source // target for target, source in zip(size, mask.shape, strict=True))
    x, y = np.rint(points).astype(int).T
    return mask[np.ix_(rows, columns)][y.clip(0, size[0] - 1), x.clip(0, size[1] - 1)] != 0
