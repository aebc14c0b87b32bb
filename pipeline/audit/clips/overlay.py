"""Logos and captions that stand still over a moving picture."""

import cv2
import numpy as np

from pipeline.audit.clips.borders import Borders
from pipeline.audit.clips.small import PixelStatistics

_STILL_SHARE = 0.35  # of the clip's median variation
_EDGE_LEVEL = 6.0  # grey levels per pixel
_SMOOTHING = (5, 5)  # pixels
_MOVING_STD = 2.0  # grey levels: in a clip that hardly varies, everything stands still


def overlay_share(statistics: PixelStatistics, bars: Borders) -> float:
    """Share of the picture that varies less than 0.35 of the median pixel and yet is full of edges (> 6 levels per pixel).

    Both maps are averaged over 5 x 5 pixels; edges are those of the mean over time, in which what moves is washed out. A weak measure:
    of a small logo it finds between none and all. Bars, and their edge, do not count. NaN where the median pixel varies by less than 2.
    """
    std = statistics.std()
    median = float(np.median(std))
    if statistics.num_frames < 2 or median < _MOVING_STD:
        return float("nan")
    mean = statistics.mean()
    gradient = np.hypot(cv2.Sobel(mean, cv2.CV_64F, 1, 0, scale=0.125), cv2.Sobel(mean, cv2.CV_64F, 0, 1, scale=0.125))
    still = cv2.blur(std, _SMOOTHING) < _STILL_SHARE * median
    found = still & (cv2.blur(gradient, _SMOOTHING) > _EDGE_LEVEL)
    _clear_bars(found, bars)
    return float(found.mean())


def _clear_bars(found: np.ndarray, bars: Borders) -> None:
    """Unset what lies under bars, or so near that smoothing reached it."""
    height, width = found.shape
    for share, size, strips in (
        (bars.top, height, found),
        (bars.bottom, height, found[::-1]),
        (bars.left, width, found.T),
        (bars.right, width, found.T[::-1]),
    ):
        if share > 0:
            strips[: round(share * size) + _SMOOTHING[0]] = False
