"""Pixels whose points can be trusted to be tracked: valid, not on an edge of depth, and well inside of what moves or what rests."""

import cv2
import numpy as np

_EDGE = 0.04  # of the depth
_KERNEL = np.ones((4, 4), np.uint8)  # offsets -2 to +1 both ways
_STATIC_EROSIONS = 4  # of what rests; what moves is eroded once


def clean_mask(valid: np.ndarray, depth: np.ndarray, dynamic: np.ndarray | None = None) -> np.ndarray:
    """Pixels of one frame that tracks may pass: bool "H W".

    Args:
        valid: bool "H W".
        depth: float32 "H W", along z. A pixel is on an edge where depth differs by more than 4 % of it among itself and its neighbours.
        dynamic: bool "H W", what moves; None where unknown. Its border is left out, and more widely so on its static side.
    Source: Track4World's released code.
    """
    window = np.ones((3, 3), np.uint8)
    contrast = cv2.dilate(depth, window) - cv2.erode(depth, window)
    clean = valid & (depth > 0) & ~(contrast > _EDGE * depth)
    if dynamic is not None:
        moving = cv2.erode(dynamic.astype(np.uint8), _KERNEL)
        resting = cv2.erode((~dynamic).astype(np.uint8), _KERNEL, iterations=_STATIC_EROSIONS)
        clean &= np.maximum(moving, resting) > 0
    return np.asarray(clean)
