"""What the static gate says of two frames of a clip."""

from dataclasses import dataclass

_MIN_STATIC_SHARE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticPair:
    """What was found of one pair of frames."""

    start: int
    end: int
    model: str  # "none" (the camera stands still), "homography", "fundamental", "undecided" (both)
    num_candidates: int
    static_inlier_ratio: float  # share of the candidates that move as the static scene does
    parallax_px: float  # median distance of the points that obey F from H, pixels of the raster

    @property
    def has_pose_signal(self) -> bool:
        """Whether a loss on the camera may use this pair."""
        return self.model != "none" and self.static_inlier_ratio >= _MIN_STATIC_SHARE
