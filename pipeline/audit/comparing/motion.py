"""Clips grouped by how their camera moves, so that a change of the labels is not taken for a change of the videos."""

import math
from dataclasses import dataclass

from pipeline.audit.clips.video import VideoMeasures

NOT_SCREENED, UNKNOWN = "not screened", "motion unknown"
MOTION_BINS = ("still", "slow pan", "fast pan", "zoom or roll", UNKNOWN, NOT_SCREENED)


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionLimits:
    """Where one bin ends, per frame; the limits are ours."""

    still_width: float = 0.002  # pan as a share of the width: half a pixel of 256
    fast_width: float = 0.02
    roll_deg: float = 0.5
    zoom_percent: float = 1.0


def motion_bin(video: VideoMeasures | None, limits: MotionLimits | None = None) -> str:
    """The bin of a clip by its screen: still, slow pan, fast pan, zoom or roll; or why it has none."""
    limits = limits or MotionLimits()
    if video is None:
        return NOT_SCREENED
    if video.roll_deg >= limits.roll_deg or video.zoom_percent >= limits.zoom_percent:
        return "zoom or roll"
    if math.isnan(video.pan_width_share):
        return UNKNOWN
    if video.pan_width_share < limits.still_width:
        return "still"
    return "slow pan" if video.pan_width_share < limits.fast_width else "fast pan"
