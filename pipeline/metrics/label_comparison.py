"""The labels of one clip beside their truth, point by point: matched queries, outcomes, and the measures of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.tapvid import QUERY_MODES
from pipeline.metrics.tapvid_counts import RASTER, THRESHOLDS_PX, PointOutcomes, TapvidCounts, count_points, to_raster
from pipeline.records import TrackTruth
from pipeline.records.labels import TrackLabels

SURVIVAL_PX = 50  # a track is lost for good once it is farther from a visible truth than this, in pixels of the raster


def match_queries(queries: np.ndarray, truth: TrackTruth) -> np.ndarray:
    """The true track that is seen exactly at each query's place in its frame; positions must be equal as float32.

    Args:
        queries: float32 "N 3", (t, x, y), pixels of the stored clip.
    Returns: int64 "N", the track's number (the lowest, if several stand on one spot), -1 where there is none.
    """
    matched = np.full(len(queries), -1, np.int64)
    frames = queries[:, 0].astype(np.int64)
    for frame in np.unique(frames):
        tracks = np.flatnonzero(truth.seen[frame]) if 0 <= frame < len(truth.seen) else np.zeros(0, np.int64)
        if len(tracks) == 0:
            continue
        known, first = np.unique(_codes(truth.tracks_px[frame, tracks]), return_index=True)
        here = np.flatnonzero(frames == frame)
        wanted = _codes(queries[here, 1:])
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        hit = known[place] == wanted
        matched[here[hit]] = tracks[first[place[hit]]]
    return matched


def match_true_queries(queries: np.ndarray, truth: TrackTruth) -> np.ndarray:
    """As `match_queries`. Raises: ConfigError if there are queries and none of them has a true track."""
    tracks = match_queries(queries, truth)
    if len(tracks) and not (tracks >= 0).any():
        raise ConfigError(
            f"none of its {len(tracks)} queries is a true point of the clip, so nothing can be measured; label the dataset with"
            " jobs/pseudolabel.py --query-policy truth"
        )
    return tracks


def _codes(positions: np.ndarray) -> np.ndarray:
    """Positions float32 "N 2" as one whole number each, the same for equal positions."""
    normalised = np.ascontiguousarray(positions, np.float32) + np.float32(0)  # -0 equals 0
    return normalised.view(np.int64)[:, 0]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelComparison:
    """N tracks over T frames; distances in pixels of the 256 x 256 raster."""

    distance_px: npt.NDArray[np.float64]  # float64 "T N"
    age: npt.NDArray[np.int64]  # int64 "T N": frames from the query's, negative before it
    evaluated: npt.NDArray[np.bool_]  # bool "T N": counts by the query mode, and the truth is known
    visible: npt.NDArray[np.bool_]  # bool "T N", in truth
    predicted_visible: npt.NDArray[np.bool_]  # bool "T N"

    @property
    def measured(self) -> np.ndarray:
        """bool "T N": the distance counts, as the point is there to be seen."""
        return np.logical_and(self.evaluated, self.visible)

    def counts(self) -> TapvidCounts:
        """TAP-Vid's counts over all tracks and frames (scalars)."""
        outcomes = PointOutcomes(
            evaluated=self.evaluated,
            visible=self.visible,
            predicted_visible=self.predicted_visible,
            within={threshold: self.distance_px < threshold for threshold in THRESHOLDS_PX},
        )
        return count_points(outcomes, axes=(0, 1))

    def median_error_px(self) -> float:
        """Median distance where the point is visible in truth, whatever was predicted of its visibility; NaN if it never is."""
        distances = self.distance_px[self.measured]
        return float(np.median(distances)) if len(distances) else float("nan")

    def survival(self) -> "Survival":
        """Number of frames after the query before the track is lost.

        Source: co-tracker's evaluation on Dynamic Replica, `survival`; here over the frames after each query, in both query modes.
        """
        after = self.age > 0
        lost = after & self.measured & (self.distance_px > SURVIVAL_PX)
        return Survival(frames=int(after.sum()), survived=int((after & (np.cumsum(lost, axis=0) == 0)).sum()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Survival:
    """Frames after the queries, over all tracks, and those of them before the track was lost. Sums of both may be added."""

    frames: int
    survived: int

    @property
    def share(self) -> float:
        """NaN where there is no frame."""
        return self.survived / self.frames if self.frames else float("nan")


def compare_labels(labels: TrackLabels, truth: TrackTruth, *, height: int, width: int, query_mode: str) -> LabelComparison:
    """Compare labels with the truth of the same points, in the same order.

    A frame in which the truth is not valid is not evaluated: whether a prediction for it is right, nobody knows. The rest is as
    for `tapvid_metrics`: with the mode "first" the frames after the query's count, with "strided" all but the query's.

    Args:
        labels, truth: T frames, N tracks, in pixels of a `height` x `width` image (integer = pixel centre).
    Raises: ConfigError for an unknown mode; DataError if labels and truth differ in shape.
    """
    if query_mode not in QUERY_MODES:
        raise ConfigError(f"query mode is {query_mode!r}, expected one of {', '.join(QUERY_MODES)}")
    if labels.visibility.shape != truth.visibility.shape:
        raise DataError(
            f"the labels are {list(labels.visibility.shape)} (frames, tracks), their truth {list(truth.visibility.shape)};"
            " label this clip again"
        )
    here, there = (to_raster(tracks, height=height, width=width) for tracks in (labels.tracks_px, truth.tracks_px))
    age = np.arange(len(labels.tracks_px))[:, None] - np.round(labels.queries[:, 0]).astype(np.int64)
    return LabelComparison(
        distance_px=np.linalg.norm(here - there, axis=-1),
        age=age,
        evaluated=(age > 0 if query_mode == "first" else age != 0) & truth.track_valid,
        visible=truth.seen,
        predicted_visible=labels.visibility,
    )


def comparison_settings(query_mode: str) -> dict[str, object]:
    """Settings of the measures, in JSON types."""
    return {
        "metric": "TAP-Vid 2D (AJ, delta_avg, OA), median error, survival",
        "query_mode": query_mode,
        "raster": [RASTER, RASTER],
        "thresholds_px": list(THRESHOLDS_PX),
        "survival_threshold_px": SURVIVAL_PX,
        "frames_without_valid_truth": "not counted",
    }
