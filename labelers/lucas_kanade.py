"""lucas-kanade: OpenCV's pyramidal tracker, each point by its own window. The independent second opinion."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from labelers.chain import Step
from labelers.chained import ChainedLabeler
from labelers.options import check_count
from pipeline.records import ClipFrames


@dataclass(frozen=True, kw_only=True)
class LucasKanadeLabeler(ChainedLabeler):
    """Chained pyramidal Lucas-Kanade. Cost grows with the number of points; memory is the clip's grey frames.

    Source: Bouguet, Pyramidal Implementation of the Lucas Kanade Feature Tracker; OpenCV's `calcOpticalFlowPyrLK`.
    """

    name: ClassVar[str] = "lucas-kanade"

    window: int = 21  # side in pixels
    pyramid_levels: int = 3  # halvings above the full size

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("window", self.window, minimum=3, maximum=101)
        check_count("pyramid_levels", self.pyramid_levels, minimum=0, maximum=8)

    def _motion(self, grey: np.ndarray, clip: ClipFrames) -> "WindowField":
        return WindowField(grey, self.window, self.pyramid_levels)


class WindowField:
    """Motion measured point by point."""

    def __init__(self, grey: np.ndarray, window: int, pyramid_levels: int) -> None:
        num_frames, height, width = grey.shape
        self.shape = (num_frames, height, width)
        self._grey = grey
        self._window = (window, window)
        self._levels = pyramid_levels

    def step(self, start: int, end: int, points: np.ndarray) -> Step:
        """Track points "M 2" from frame `start` to its neighbour `end`, and from where they landed back again."""
        moved, moved_found = self._track(self._grey[start], self._grey[end], points)
        returned, returned_found = self._track(self._grey[end], self._grey[start], moved)
        return Step(moved_px=moved, returned_px=returned, found=moved_found & returned_found)

    def _track(self, first: np.ndarray, second: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points in `second`, "M 2", and whether each was found; one that was not stays where it is."""
        start = points[:, None]
        landed, status, _ = cv2.calcOpticalFlowPyrLK(first, second, start, start.copy(), winSize=self._window, maxLevel=self._levels)
        found = (status[:, 0] > 0) & np.isfinite(landed[:, 0]).all(axis=1)
        return np.where(found[:, None], landed[:, 0], points), found
