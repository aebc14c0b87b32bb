"""TAPVid-3D's scalings of a prediction, and its local neighbourhoods with each track's own scale."""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.tapvid_counts import COUNTED, PointOutcomes, TapvidCounts, count_points
from pipeline.metrics.tracks3d import Tracks3d

Scaling = Literal["median", "mean", "median_on_queries", "per_trajectory", "local_neighborhood", "none", "reproduce_2d"]
SCALINGS: tuple[Scaling, ...] = get_args(Scaling)
FLOOR = 1e-12  # of depths in metres and of squared norms, so that no scale divides by 0


def scale_factors(truth: Tracks3d, prediction: Tracks3d, *, scaling: str, query_frames: np.ndarray | None = None) -> np.ndarray:
    """Scale factors of the predicted positions, float64: (), "N" or "T N".

    - median, mean: one factor, the ratio of the medians (means) of the distances to the camera, over points visible in both.
    - median_on_queries: the same over each track's query frame alone.
    - per_trajectory, local_neighborhood: "N", the ratio of the depths in each track's query frame. A point predicted behind the camera
      gets a huge factor and fails.
    - none: 1.
    - reproduce_2d: "T N", the ratio of the depths of each point; its projection stays.

    Returns: NaN where no point is visible in both.
    Raises: ConfigError if query frames are missing; DataError if they do not fit the tracks.
    Source: TAPVid-3D, section on metrics; google-deepmind/tapnet `compute_tapvid3d_metrics`.
    """
    if scaling == "none":
        return np.ones(())
    if scaling == "reproduce_2d":
        return _depth_ratio(truth.positions, prediction.positions)
    if scaling in ("median", "mean"):
        return _norm_ratio(truth.positions, prediction.positions, _seen_in_both(truth, prediction), mean=scaling == "mean")
    if scaling not in SCALINGS:
        raise ConfigError(f"scaling is {scaling!r}, expected one of {', '.join(SCALINGS)}")
    at = _query_index(truth, query_frames, scaling)
    if scaling == "median_on_queries":
        return _norm_ratio(truth.positions[at], prediction.positions[at], _seen_in_both(truth, prediction)[at], mean=False)
    return _depth_ratio(truth.positions[at], prediction.positions[at])


def _seen_in_both(truth: Tracks3d, prediction: Tracks3d) -> np.ndarray:
    return truth.visible & truth.evaluated & prediction.visible


def _norm_ratio(truth: np.ndarray, prediction: np.ndarray, counted: np.ndarray, *, mean: bool) -> np.ndarray:
    if not counted.any():
        return np.full((), np.nan)
    middle = np.mean if mean else np.median
    true_norm, norm = (middle(np.sqrt(np.maximum(np.square(points[counted]).sum(axis=-1), FLOOR))) for points in (truth, prediction))
    return np.asarray(true_norm / norm)


def _depth_ratio(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    true_depth, depth = (np.maximum(points[..., 2], FLOOR) for points in (truth, prediction))
    return np.asarray(true_depth / depth)


def _query_index(truth: Tracks3d, query_frames: np.ndarray | None, scaling: str) -> tuple[np.ndarray, np.ndarray]:
    num_frames, num_tracks = truth.visible.shape
    if query_frames is None:
        raise ConfigError(f"scaling {scaling} needs query_frames; give the frame that each track was asked for in, or take median")
    frames = np.asarray(query_frames)
    if frames.shape != (num_tracks,) or frames.dtype.kind not in "iu" or ((frames < 0) | (frames >= num_frames)).any():
        raise DataError(f"query_frames are {frames.dtype}{list(frames.shape)}, expected {num_tracks} integers in [0, {num_frames})")
    return frames, np.arange(num_tracks)


def count_neighborhoods(
    truth: Tracks3d, prediction: Tracks3d, *, scale: np.ndarray, thresholds: Mapping[int, np.ndarray], radius_m: float
) -> TapvidCounts:
    """Counts of shape "N": row i counts all points nearer than `radius_m` to track i in the same frame, i among them, scaled by scale[i].

    Args:
        scale: "N", one factor per track.
        thresholds: by threshold, metres "T N".
    Source: TAPVid-3D, section on metrics, local neighbourhood.
    """
    per_track = [_count_around(i, truth, prediction, scale[i], thresholds, radius_m) for i in range(len(scale))]
    stacked = {name: np.stack([getattr(counts, name) for counts in per_track], axis=-1) for name in COUNTED}
    return TapvidCounts(thresholds=tuple(thresholds), **stacked)


def neighborhood_weights(truth: Tracks3d, counts: TapvidCounts) -> np.ndarray:
    """ "N": frames in which the track is visible / visible points around it, so that crowded places do not outweigh lonely ones.

    A track that is never visible weighs 0: alone it has no value, as in the public code.
    """
    frames_visible = np.sum(truth.visible & truth.evaluated, axis=0)
    return np.asarray(frames_visible / np.maximum(counts.visible, 1))


def weighted(counts: TapvidCounts, weights: np.ndarray) -> TapvidCounts:
    """Counts "N" times a weight of each track; one that weighs nothing counts nothing."""
    return TapvidCounts(thresholds=counts.thresholds, **{name: weights * getattr(counts, name) for name in COUNTED})


def summed(counts: TapvidCounts) -> TapvidCounts:
    """Counts "N" summed to those of the whole video, shape ()."""
    sums = {name: np.asarray(np.sum(getattr(counts, name), axis=-1)) for name in COUNTED}
    return TapvidCounts(thresholds=counts.thresholds, **sums)


def _count_around(
    track: int, truth: Tracks3d, prediction: Tracks3d, scale: float, thresholds: Mapping[int, np.ndarray], radius_m: float
) -> TapvidCounts:
    # one track at a time: all pairs at once would take T N N of memory
    away = np.square(truth.positions - truth.positions[:, track, None]).sum(axis=-1)
    near = away < radius_m**2
    squared_distance = np.square(scale * prediction.positions[near] - truth.positions[near]).sum(axis=-1)
    outcomes = PointOutcomes(
        evaluated=truth.evaluated[near],
        visible=truth.visible[near],
        predicted_visible=prediction.visible[near],
        within={pixels: squared_distance < threshold[near] ** 2 for pixels, threshold in thresholds.items()},
    )
    return count_points(outcomes, axes=(0,))
