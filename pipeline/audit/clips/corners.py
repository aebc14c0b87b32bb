"""Corners followed from one frame to another: the little motion that a screen needs, without a dense flow."""

from dataclasses import dataclass

import cv2
import numpy as np

MIN_CORNERS = 8  # fewer say nothing about the picture
_NUM_CORNERS = 200
_QUALITY, _DISTANCE_PX = 0.01, 7.0
_WINDOW, _LEVELS = (15, 15), 4
_ROUND_TRIP_PX = 1.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FollowedCorners:
    """K of `num_corners` corners that were found again: there and back they return within 1 px. Pixels of the small frame."""

    starts_px: np.ndarray  # float64 "K 2"
    ends_px: np.ndarray  # float64 "K 2"
    num_corners: int

    @property
    def steps_px(self) -> np.ndarray:
        """Displacements, float64 "K 2"."""
        return np.subtract(self.ends_px, self.starts_px)

    @property
    def survival(self) -> float:
        """K / number of corners; NaN where the frame has fewer than 8."""
        return len(self.starts_px) / self.num_corners if self.num_corners >= MIN_CORNERS else float("nan")


def follow_corners(before: np.ndarray, after: np.ndarray) -> FollowedCorners:
    """Corners of `before` (Shi-Tomasi, at most 200) in `after`, by pyramidal Lucas-Kanade there and back.

    Args:
        before, after: uint8 "H W", grey.
    """
    found = cv2.goodFeaturesToTrack(before, _NUM_CORNERS, _QUALITY, _DISTANCE_PX)
    if found is None:
        return FollowedCorners(starts_px=np.zeros((0, 2)), ends_px=np.zeros((0, 2)), num_corners=0)
    starts = found.reshape(-1, 1, 2)
    ends, there, _ = cv2.calcOpticalFlowPyrLK(before, after, starts, starts.copy(), winSize=_WINDOW, maxLevel=_LEVELS)
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, before, ends, starts.copy(), winSize=_WINDOW, maxLevel=_LEVELS)
    error = np.linalg.norm(back - starts, axis=-1)[:, 0]
    kept = (there[:, 0] == 1) & (again[:, 0] == 1) & (error < _ROUND_TRIP_PX)
    start_px, end_px = (points[kept, 0].astype(np.float64) for points in (starts, ends))
    return FollowedCorners(starts_px=start_px, ends_px=end_px, num_corners=len(starts))
