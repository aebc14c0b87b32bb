"""Measures and weights of the tracks of one clip, and the static gate's record of two frames."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from pipeline.errors import ConfigError
from pipeline.records.arrays import check_array

StaticModel = Literal["none", "homography", "fundamental", "undecided"]  # none: the camera stands still; undecided: both
_MIN_STATIC_SHARE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticPair:
    """Result of the static gate for one pair of frames."""

    start: int
    end: int
    model: StaticModel
    num_candidates: int
    static_inlier_ratio: float  # share of the candidates that move as the static scene does
    parallax_px: float  # median distance of the points that obey F from H, pixels of the raster

    @property
    def has_pose_signal(self) -> bool:
        """Whether a loss on the camera may use this pair."""
        return self.model != "none" and self.static_inlier_ratio >= _MIN_STATIC_SHARE


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackMeasures:
    """Measures of N tracks, float32 "N" each, NaN where unknown; distances in pixels of the 256 x 256 raster unless said otherwise."""

    fb_cycle: np.ndarray  # there and back: distance from the query
    fb_all: np.ndarray  # mean distance of the two paths
    fb_agree: np.ndarray  # share of frames in which both directions agree on visibility
    ncc_min: np.ndarray  # likeness to the query's patch, -1 to 1
    ncc_mean: np.ndarray
    ncc_step_min: np.ndarray  # likeness to the frame before
    colour_drift: np.ndarray  # distance from the query's colour, grey levels
    realign_mean: np.ndarray  # drift that the picture finds step by step, steps of one frame
    realign_max: np.ndarray
    realign_long_mean: np.ndarray  # steps of four frames
    realign_long_max: np.ndarray
    flow_drift_mean: np.ndarray  # drift against dense optical flow
    flow_drift_max: np.ndarray
    border_min: np.ndarray  # distance from the image's border where it is least
    texture: np.ndarray  # smaller eigenvalue of the gradient tensor at the query
    flicker: np.ndarray  # changes of visibility per step
    vis_conf: np.ndarray  # mean confidence where visible
    accel_max: np.ndarray  # acceleration less the camera's, over 1 + the clip's median step
    jump: np.ndarray  # largest step in units of the steps' spread
    neigh_max: np.ndarray  # largest deviation from the neighbours
    disagree_median: np.ndarray  # distance from a second label set
    disagree_max: np.ndarray
    visible_iou: np.ndarray
    agree_aj: np.ndarray
    sampson_med: np.ndarray  # distance from the epipolar geometry
    homog_med: np.ndarray  # distance from a homography
    len: np.ndarray  # visible frames
    cover: np.ndarray  # the same as a share
    longest_run: np.ndarray  # longest visible run as a share
    oof: np.ndarray  # share of visible frames outside the image
    collapse: np.ndarray  # 1: runs together with another track
    static_stick: np.ndarray  # 1: stands on the screen while its surroundings move
    static_score: np.ndarray  # at least 0.5: static in the world
    ncc: np.ndarray  # float32 "T N": likeness to the query's patch in each frame
    collapse_cluster: np.ndarray  # int32 "N", -1 = alone
    static_pairs: tuple[StaticPair, ...] = ()  # what the static gate found of pairs of frames

    def __post_init__(self) -> None:
        check_array("ncc", self.ncc, "float32", (None, None))
        check_array("collapse_cluster", self.collapse_cluster, "int32", self.ncc.shape[1:])
        for name in measure_names():
            check_array(name, getattr(self, name), "float32", self.ncc.shape[1:])

    def measure(self, name: str) -> np.ndarray:
        """One measure by its name, float32 "N". Raises: ConfigError if there is no such measure."""
        if name not in measure_names():
            raise ConfigError(f"there is no measure {name!r} of tracks; the measures are {', '.join(measure_names())}")
        return np.asarray(getattr(self, name))

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """Names and values of all measures, in a fixed order."""
        return ((name, getattr(self, name)) for name in measure_names())


def measure_names() -> tuple[str, ...]:
    """Names of the measures that give one number for each track, in a fixed order."""
    return tuple(field.name for field in fields(TrackMeasures) if field.name not in ("ncc", "collapse_cluster", "static_pairs"))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackWeights:
    """Weights of N tracks and of their frames."""

    weight: np.ndarray  # float32 "N" in [0, 1]
    bad_probability: np.ndarray | None  # float32 "N"; None without a calibration
    contract_error: np.ndarray  # bool "N": visible outside the image
    collapsed: np.ndarray  # bool "N": runs together with a better track
    version: str  # of the rule that made them

    def __post_init__(self) -> None:
        check_array("weight", self.weight, "float32", (None,))
        for name in ("contract_error", "collapsed"):
            check_array(name, getattr(self, name), "bool", self.weight.shape)
        if self.bad_probability is not None:
            check_array("bad_probability", self.bad_probability, "float32", self.weight.shape)
