"""Which predicted points are worth showing."""

import cv2
import numpy as np

EDGE = 0.03  # of the depth


def trusted_points(depth: np.ndarray, confidence: np.ndarray, *, least_confidence: float, edge: float = EDGE) -> np.ndarray:
    """Pixels that the model is sure of, and that lie on no edge between near and far: there points hang in the air.

    Args:
        depth: float32 "T H W", along z.
        confidence: "T H W" in [0, 1].
        edge: a pixel lies on one where depth differs by a larger share of it within the pixel and its eight neighbours.
    Returns: bool "T H W".
    """
    window = np.ones((3, 3), np.uint8)
    contrast = np.stack([cv2.dilate(frame, window) - cv2.erode(frame, window) for frame in depth])
    return np.asarray((confidence >= least_confidence) & (contrast <= edge * depth))
