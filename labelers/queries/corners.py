"""Queries where the image has texture to hold on to."""

import cv2
import numpy as np

BLOCK = 7  # pixels, side of the window over which gradients are gathered
CELL = 0.7  # side of the cells that hold at most one point each, in units of the points' even spacing: about two cells per point


def corner_points(image: np.ndarray, count: int, rng: np.random.Generator, *, allowed: np.ndarray) -> np.ndarray:
    """Up to `count` pixel centres drawn with probability in proportion to texture, at most one per small cell: float32 "N 2".

    Texture is the smaller eigenvalue of the gradient tensor. Flat pixels are drawn only when nothing better is left in reach;
    fewer than `count` points come back where the allowed area is too small for them.

    Args:
        image: uint8, RGB "H W 3" or grey "H W".
        allowed: bool "H W": pixels that may be chosen.
    Source: weighted sampling without replacement by exponential clocks (Efraimidis and Spirakis 2006).
    """
    y, x = np.nonzero(allowed)
    if count == 0 or not len(x):
        return np.zeros((0, 2), np.float32)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    texture = cv2.cornerMinEigenVal(grey, BLOCK)[y, x].astype(np.float64)
    weight = np.maximum(texture, 0) + 1e-6 * max(texture.max(), 1e-12)
    first_come = np.argsort(rng.exponential(size=len(x)) / weight, kind="stable")
    side = max(1.0, CELL * np.sqrt(len(x) / count))
    cell = (y // side).astype(np.int64) * grey.shape[1] + (x // side).astype(np.int64)
    _, first_of_cell = np.unique(cell[first_come], return_index=True)
    chosen = first_come[np.sort(first_of_cell)[:count]]
    return np.column_stack([x[chosen], y[chosen]]).astype(np.float32)
