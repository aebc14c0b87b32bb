"""From where on a measure of a track is suspicious, and what it says, for people."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError

ABOVE, BELOW, NEITHER = SIDES = ("above", "below", "neither")


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """Where a measure turns suspicious. A single suspicious measure condemns no track: weights come from several of them together."""

    limit: float | None  # None: a fact without a good or a bad end
    side: str  # above | below: the suspicious side of the limit, itself excluded; neither: the limit only parts two kinds
    meaning: str  # one plain sentence
    unit: str = ""  # px: pixels of the 256 x 256 raster; empty: a share, a likeness or another bare number

    def __post_init__(self) -> None:
        if self.side not in SIDES or (self.limit is None and self.side != NEITHER) or not self.meaning:
            raise ConfigError(f"threshold {self.limit}, side {self.side!r}; expected a limit, a side of {', '.join(SIDES)}, a meaning")

    def suspicious(self, values: np.ndarray) -> np.ndarray:
        """Which values are on the suspicious side, bool as they are shaped; unknown ones (NaN) are not."""
        values = np.asarray(values)
        if self.limit is None or self.side == NEITHER:
            return np.zeros(values.shape, bool)
        return np.asarray(values > self.limit if self.side == ABOVE else values < self.limit)


def _above(limit: float, meaning: str, unit: str = "") -> Threshold:
    return Threshold(limit=limit, side=ABOVE, meaning=meaning, unit=unit)


def _below(limit: float, meaning: str, unit: str = "") -> Threshold:
    return Threshold(limit=limit, side=BELOW, meaning=meaning, unit=unit)


def _fact(meaning: str, unit: str = "", limit: float | None = None) -> Threshold:
    return Threshold(limit=limit, side=NEITHER, meaning=meaning, unit=unit)


THRESHOLDS = {  # of every measure, in the order of `measure_names()`
    "fb_cycle": _above(2.0, "Distance by which the track misses its query when it is followed back.", "px"),
    "fb_all": _above(2.0, "Mean distance between the way there and the way back.", "px"),
    "fb_agree": _below(0.8, "Share of frames in which the way there and the way back agree on whether the point is visible."),
    "ncc_min": _below(0.4, "Likeness to the query's surroundings in the visible frame where it is least."),
    "ncc_mean": _below(0.7, "Likeness to the query's surroundings, mean over the visible frames."),
    "ncc_step_min": _fact("Likeness to the surroundings one frame before, where it is least; says little alone."),
    "colour_drift": _above(25.0, "Distance from the query's colour, the clip's change of light taken off, mean in grey levels of RGB."),
    "realign_mean": _above(2.5, "Drift that the picture finds when each step is followed anew and added up, mean.", "px"),
    "realign_max": _above(10.0, "The same drift in the frame where it is largest.", "px"),
    "realign_long_mean": _above(2.5, "Drift found in the same way over steps of four frames, mean.", "px"),
    "realign_long_max": _above(5.0, "The same drift over steps of four frames, where it is largest.", "px"),
    "flow_drift_mean": _above(3.0, "Drift of the track against dense optical flow, added up step by step, mean.", "px"),
    "flow_drift_max": _above(8.0, "The same drift in the frame where it is largest.", "px"),
    "border_min": _fact("Distance from the image's border where it is least; half a patch is unseen there.", "px"),
    "texture": _fact("How much texture there is at the query; says where was asked, not how well it was answered."),
    "flicker": _above(0.2, "Changes between visible and hidden per frame."),
    "vis_conf": _fact("The labeler's own confidence, mean over the visible frames; each labeler has a scale of its own."),
    "accel_max": _above(4.0, "Largest change of velocity, the camera's shake taken off, in units of 1 px + the clip's usual step."),
    "jump": _above(12.0, "How far the largest step stands out from the track's other steps, in units of their spread."),
    "neigh_max": _above(4.0, "Largest difference from the neighbours' motion; large at the edges of moving objects too.", "px"),
    "disagree_median": _above(4.0, "Distance from the same point in the other label set, median over the frames visible in both.", "px"),
    "disagree_max": _above(4.0, "Distance from the same point in the other label set, where it is largest.", "px"),
    "visible_iou": _fact("Frames visible in both label sets as a share of those visible in either."),
    "agree_aj": _fact("Average Jaccard of the two label sets, each taken as the truth once; compare it between runs."),
    "sampson_med": _fact("Distance from the motion that one rigid scene with depth allows; large where the point itself moves.", "px"),
    "homog_med": _fact("Distance from the motion of a plane or of a camera that only turns; large with depth or own motion.", "px"),
    "len": _below(8.0, "Visible frames."),
    "cover": _fact("Visible frames as a share of the clip."),
    "longest_run": _fact("Longest unbroken visible run as a share of the clip."),
    "oof": _above(0.0, "Share of the visible frames in which the point lies outside the image; it must be 0."),
    "collapse": _above(0.0, "1 where the track runs together with another that was asked for elsewhere."),
    "static_stick": _above(0.0, "1 where the track stands on the screen while its neighbours move, as an overlay does."),
    "static_score": _fact("Whether the point stands still in the world: from 0.5 on static, below moving; a fact, not a fault.", limit=0.5),
}
