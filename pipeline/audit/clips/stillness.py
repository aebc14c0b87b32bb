"""Clips in which nothing moves, and frames that are shown twice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audit.clips.camera import MIN_CORNERS, FollowedCorners
from pipeline.audit.clips.small import SmallFrame

STILL_GAP = 8  # frames
DUPLICATE_MEAN = 0.5  # grey levels
DUPLICATE_CELL = 2.0  # grey levels: where one cell of the thumb changes more, something small moved before a still background
_FOLLOWED_SHARE = 0.3  # of the corners: of a fast pan only what does not belong to the scene (a logo) is found again


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameChange:
    """Difference between a frame and the one before, in grey levels."""

    mean: float  # mean absolute difference without noise
    cell: float  # largest absolute difference of a cell of the thumbs

    @property
    def is_duplicate(self) -> bool:
        """The same picture again."""
        return self.mean < DUPLICATE_MEAN and self.cell < DUPLICATE_CELL


def frame_change(before: SmallFrame, after: SmallFrame) -> FrameChange:
    """Mean absolute difference of the smoothed frames, and the largest of the thumbs' cells."""
    return FrameChange(
        mean=float(np.abs(after.smooth - before.smooth).mean()),
        cell=float(np.abs(after.thumb - before.thumb).max()),
    )


def local_change(before: SmallFrame, after: SmallFrame) -> float:
    """max over the thumbs' cells of |d - median(d)|, with d their difference: what moves, whatever the exposure does."""
    difference = after.thumb - before.thumb
    return float(np.abs(difference - np.median(difference)).max())


def duplicate_share(changes: Sequence[FrameChange]) -> float:
    """Share of the steps in which the picture stays: mean difference < 0.5 and no cell changed by 2; NaN for a single frame."""
    return float(np.mean([change.is_duplicate for change in changes])) if changes else float("nan")


def displacement(corners: FollowedCorners) -> float:
    """Median length of the corners' displacement, in pixels; NaN with fewer than 8, or under 0.3 of them, found again."""
    if len(corners.starts_px) < MIN_CORNERS or corners.survival < _FOLLOWED_SHARE:
        return float("nan")
    return float(np.median(np.linalg.norm(corners.steps_px, axis=-1)))
