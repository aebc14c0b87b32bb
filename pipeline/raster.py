"""The 256 x 256 raster of TAP-Vid, on which distances are measured, so that one threshold serves clips of any size."""

import numpy as np

RASTER = 256  # both sides


def to_raster(tracks_px: np.ndarray, height: int, width: int) -> np.ndarray:
    """Positions "... 2" in pixels of a `height` x `width` image to pixels of the raster, float64.

    Integer = pixel centre on both sides, so the image [-0.5, W-0.5] covers the raster [-0.5, 255.5]: x becomes
    (x + 0.5) 256 / width - 0.5, y likewise with the height.
    """
    return (np.asarray(tracks_px, np.float64) + 0.5) * (RASTER / np.array([width, height])) - 0.5


def length_to_raster(length_px: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lengths of unknown direction in pixels of the image to pixels of the raster, by the mean scale 256 / sqrt(height width).

    A length along one axis of an image that is not square is off by the root of its aspect ratio: 1.33 at 16:9.
    """
    return np.asarray(length_px, np.float64) * (RASTER / np.sqrt(height * width))


def length_from_raster(length_px: np.ndarray, height: int, width: int) -> np.ndarray:
    """What `length_to_raster` undoes: lengths in pixels of the raster to pixels of the image, by the mean scale, float64."""
    return np.asarray(length_px, np.float64) * (np.sqrt(height * width) / RASTER)
