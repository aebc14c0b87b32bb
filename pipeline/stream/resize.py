"""Resizing of what lies in pixels. Integer coordinates are pixel centres, so a scale s maps x to (x + 0.5) s - 0.5."""

import numpy as np

Size = tuple[int, int]  # (height, width)


def resize_points(points_px: np.ndarray, from_size: Size, to_size: Size) -> np.ndarray:
    """Move points with their image.

    Args:
        points_px: "... 2", (x, y).
        from_size, to_size: (H, W); the two axes scale apart.
    Returns: float32 "... 2".
    """
    scale = _scale(from_size, to_size)
    return ((points_px.astype(np.float64) + 0.5) * scale - 0.5).astype(np.float32)


def resize_intrinsics(intrinsics: np.ndarray, from_size: Size, to_size: Size) -> np.ndarray:
    """Camera matrices of the resized image: focal lengths (and skew) scale with their axis, the principal point as a point does.

    Args:
        intrinsics: "T 3 3", pixels.
    Returns: float32 "T 3 3".
    """
    scale = _scale(from_size, to_size)
    resized = intrinsics.astype(np.float64)
    resized[:, :2, :2] *= scale[:, None]
    resized[:, :2, 2] = (resized[:, :2, 2] + 0.5) * scale - 0.5
    return resized.astype(np.float32)


def resize_nearest(maps: np.ndarray, to_size: Size) -> np.ndarray:
    """Depth and masks take the stored pixel on which a new pixel's centre falls: no value is mixed across an edge.

    Args:
        maps: "T H W".
    Returns: the same dtype, "T H' W'".
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for old, new in zip(maps.shape[1:], to_size, strict=True)
    )  # floor of the continuous position counted from the image's edge
    return maps[:, rows[:, None], columns]


def _scale(from_size: Size, to_size: Size) -> np.ndarray:
    return np.array([to_size[1] / from_size[1], to_size[0] / from_size[0]])
