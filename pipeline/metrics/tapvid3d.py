"""TAPVid-3D: how well tracks in space follow the true ones, up to the scale that a monocular method cannot know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.tapvid3d_scaling import SCALINGS, Scaling, count_neighborhoods, neighborhood_weights, scale_factors, summed, weighted
from pipeline.metrics.tapvid_counts import THRESHOLDS_PX, PointOutcomes, TapvidCounts, TapvidMetrics, count_points, fractions_of, ratio
from pipeline.metrics.tracks3d import Tracks3d, check_comparable
from pipeline.records.arrays import Floats, Ints

METRIC_THRESHOLDS_M = {1: 0.01, 2: 0.04, 4: 0.16, 8: 0.64, 16: 2.56}  # by the threshold in pixels that each takes the place of
Thresholds = Literal["pixels", "metres"]
THRESHOLDS: tuple[Thresholds, ...] = get_args(Thresholds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tapvid3dConfig:
    """Settings of the benchmark; the defaults are those of its published tables."""

    scaling: Scaling = "median"  # see `scale_factors`; local_neighborhood: each track's own scale, judged on all points near it
    thresholds: Thresholds = "pixels"  # size of 1, 2, 4, 8, 16 pixels at the true depth; or "metres": 0.01, 0.04, 0.16, 0.64, 2.56
    neighborhood_radius_m: float = 0.05  # for local_neighborhood

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS:
            raise ConfigError(f"scaling is {self.scaling!r}, expected one of {', '.join(SCALINGS)}")
        if self.thresholds not in THRESHOLDS:
            raise ConfigError(f"thresholds are {self.thresholds!r}, expected one of {', '.join(THRESHOLDS)}")
        if not self.neighborhood_radius_m > 0:
            raise ConfigError(f"neighborhood_radius_m is {self.neighborhood_radius_m}, expected more than 0 m")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tapvid3dMetrics(TapvidMetrics):
    """TAP-Vid's fractions with distances in space: AJ_3D, APD_3D and OA, of one video (shape ()) or of its tracks ("N")."""

    average_pts_within_thresh_with_occluded: np.ndarray  # as APD, over all points, seen or not
    scale: np.ndarray  # what multiplied the prediction: (), "N" or "T N"; NaN where no point determines it, and then nothing is near


def tapvid3d_metrics(
    truth: Tracks3d,
    prediction: Tracks3d,
    *,
    focal_px: float | Floats,
    query_frames: Ints | None = None,
    config: Tapvid3dConfig | None = None,
) -> Tapvid3dMetrics:
    """AJ_3D, APD_3D and OA of one video. Every frame counts, also the query's and those before it.

    Args:
        truth, prediction: the same tracks in metres, in the camera of each frame.
        focal_px: sqrt(fx fy) at the evaluation's resolution (see `evaluation_focal`), one for all frames or "T".
        query_frames: integers "N", the frame that each track was asked for in; needed by median_on_queries, per_trajectory and
            local_neighborhood.
    Returns:
        Values of shape (). Where nothing is visible in both truth and prediction the scale is NaN and, as in the benchmark, no point is
        correct: the fractions are 0, not NaN.
    Raises: DataError if the tracks disagree or a position that counts is not finite; ConfigError if queries are missing.
    Source: TAPVid-3D, section on metrics; equal to google-deepmind/tapnet `compute_tapvid3d_metrics`, without its refusals of plain queries
        and of local_neighborhood for a whole video.
    """
    return _measured(truth, prediction, focal_px, query_frames, config or Tapvid3dConfig(), trackwise=False)


def tapvid3d_trackwise_metrics(
    truth: Tracks3d,
    prediction: Tracks3d,
    *,
    focal_px: float | Floats,
    query_frames: Ints | None = None,
    config: Tapvid3dConfig | None = None,
) -> Tapvid3dMetrics:
    """The same values for each track alone, of shape "N". Arguments as for `tapvid3d_metrics`."""
    return _measured(truth, prediction, focal_px, query_frames, config or Tapvid3dConfig(), trackwise=True)


def _measured(
    truth: Tracks3d,
    prediction: Tracks3d,
    focal_px: float | np.ndarray,
    queries: np.ndarray | None,
    config: Tapvid3dConfig,
    *,
    trackwise: bool,
) -> Tapvid3dMetrics:
    check_comparable(truth, prediction)
    thresholds = _thresholds(truth, focal_px, config)
    scale = scale_factors(truth, prediction, scaling=config.scaling, query_frames=queries)
    if config.scaling == "local_neighborhood":
        counts = count_neighborhoods(truth, prediction, scale=scale, thresholds=thresholds, radius_m=config.neighborhood_radius_m)
        counts = weighted(counts, neighborhood_weights(truth, counts))
        counts = counts if trackwise else summed(counts)
    else:
        counts = _counts(truth, prediction, scale, thresholds, axes=(0,) if trackwise else (0, 1))
    return _metrics(counts, scale)


def _thresholds(truth: Tracks3d, focal_px: float | np.ndarray, config: Tapvid3dConfig) -> dict[int, np.ndarray]:
    """The distance in metres, "T N", that each threshold stands for: k z / sqrt(fx fy), or the fixed one."""
    focal = np.asarray(focal_px, np.float64)
    num_frames, num_tracks = truth.visible.shape
    if focal.shape not in ((), (num_frames,)) or not (np.isfinite(focal) & (focal > 0)).all():
        raise DataError(
            f"focal_px is {np.array2string(focal, threshold=4)}, expected one positive length in pixels or {num_frames} of them"
        )
    if config.thresholds == "metres":
        return {pixels: np.full((num_frames, num_tracks), metres) for pixels, metres in METRIC_THRESHOLDS_M.items()}
    metres_per_pixel = truth.positions[..., 2] / (focal[:, None] if focal.ndim else focal)
    return {pixels: pixels * metres_per_pixel for pixels in THRESHOLDS_PX}


def _counts(
    truth: Tracks3d, prediction: Tracks3d, scale: np.ndarray, thresholds: Mapping[int, np.ndarray], *, axes: tuple[int, ...]
) -> TapvidCounts:
    scaled = scale[..., None] * prediction.positions
    squared_distance = np.sum(np.square(scaled - truth.positions), axis=-1)
    outcomes = PointOutcomes(
        evaluated=truth.evaluated,
        visible=truth.visible,
        predicted_visible=prediction.visible,
        within={pixels: squared_distance < threshold**2 for pixels, threshold in thresholds.items()},
    )
    return count_points(outcomes, axes=axes)


def _metrics(counts: TapvidCounts, scale: np.ndarray) -> Tapvid3dMetrics:
    fractions = fractions_of(counts)
    undefined = dict(fractions.undefined)
    if (missing := np.isnan(scale)).any():
        undefined["scale"] = "no point is visible in both truth and prediction" + (
            f" ({missing.sum()} of {missing.size})" if scale.ndim else ""
        )
    evaluated = np.broadcast_to(counts.evaluated, counts.within.shape)
    return Tapvid3dMetrics(
        average_jaccard=fractions.average_jaccard,
        average_pts_within_thresh=fractions.average_pts_within_thresh,
        occlusion_accuracy=fractions.occlusion_accuracy,
        jaccard=fractions.jaccard,
        pts_within=fractions.pts_within,
        undefined=undefined,
        average_pts_within_thresh_with_occluded=np.asarray(np.mean(ratio(counts.within, evaluated), axis=0)),
        scale=scale,
    )
