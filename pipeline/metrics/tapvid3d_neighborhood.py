"""TAPVid-3D's local neighbourhoods: with each track's own scale, is the shape around it right?"""

from collections.abc import Mapping

import numpy as np

from pipeline.metrics.tapvid_counts import COUNTED, PointOutcomes, TapvidCounts, count_points
from pipeline.metrics.tracks3d import Tracks3d


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
    """ "N": frames in which the track is visible / visible points around it, so that crowded places do not outweigh lonely ones."""
    frames_visible = np.sum(truth.visible & truth.evaluated, axis=0)
    return np.asarray(frames_visible / np.maximum(counts.visible, 1))


def weighted_sum(counts: TapvidCounts, weights: np.ndarray) -> TapvidCounts:
    """Counts "N" summed to those of the whole video, shape ()."""
    sums = {name: np.asarray(np.sum(weights * getattr(counts, name), axis=-1)) for name in COUNTED}
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
