"""Queries at SIFT keypoints, as the training of CoTracker3 draws them."""

import cv2
import numpy as np


def sift_points(image: np.ndarray, count: int, rng: np.random.Generator, *, allowed: np.ndarray) -> np.ndarray:
    """Up to `count` distinct SIFT keypoints, drawn uniformly without replacement: float32 "N 2". Fewer if the image has fewer.

    Args:
        image: uint8 RGB "H W 3".
        allowed: bool "H W": a keypoint counts if its nearest pixel is allowed.
    """
    keypoints = cv2.SIFT.create().detect(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    if not keypoints or count == 0:
        return np.zeros((0, 2), np.float32)
    places = np.unique(np.array([keypoint.pt for keypoint in keypoints], np.float32), axis=0)  # one per place, whatever its angles
    column, row = np.round(places).astype(np.int64).T
    inside = (column >= 0) & (column < allowed.shape[1]) & (row >= 0) & (row < allowed.shape[0])
    places = places[inside][allowed[row[inside], column[inside]]]
    return places[rng.permutation(len(places))[:count]]
