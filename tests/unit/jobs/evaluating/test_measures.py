import math

import numpy as np
import pytest

from jobs.evaluating.measures import mean_measures, measure_clip, pooled_measures
from pipeline.metrics.error_histogram import ErrorHistogram
from pipeline.metrics.label_comparison import LabelComparison


def make_comparison(distances, *, visible=None, said=None) -> LabelComparison:
    """Tracks begun in frame 0; `distances` "T N" in pixels of the raster."""
    distances = np.array(distances, np.float64)
    every = np.ones(distances.shape, bool)
    age = np.repeat(np.arange(len(distances))[:, None], distances.shape[1], axis=1)
    return LabelComparison(
        distance_px=distances,
        age=age,
        evaluated=age > 0,
        visible=every if visible is None else np.array(visible, bool),
        predicted_visible=every if said is None else np.array(said, bool),
    )


GOOD = make_comparison([[0], [0.5], [0.5], [0.5]])  # three points, all within every threshold
BAD = make_comparison([[0], [100]])  # one point, beyond every threshold, and the track is lost
UNSEEN = make_comparison([[0], [0]], visible=[[1], [0]], said=[[1], [0]])


def measured(*comparisons):
    errors = ErrorHistogram()
    for comparison in comparisons:
        errors.add(comparison)
    return [measure_clip(str(n), comparison, num_unmatched=n) for n, comparison in enumerate(comparisons)], errors


def test_the_mean_weighs_clips_alike_and_pooling_weighs_points_alike():
    clips, errors = measured(GOOD, BAD)
    means, pooled = mean_measures(clips), pooled_measures(clips, errors)
    assert means["average_pts_within_thresh"].value == 0.5
    assert pooled.average_pts_within_thresh == 0.75
    assert pooled.average_jaccard == pytest.approx(3 / 5)  # 3 true positives; 4 visible, 1 false positive
    assert means["survival"].value == 0.5
    assert pooled.survival == 0.75
    assert means["median_error_px"].value == 50.25
    assert pooled.median_error_px == pytest.approx(0.5, rel=0.01)


def test_clips_in_which_a_measure_is_undefined_are_left_out_and_counted():
    clips, _ = measured(GOOD, UNSEEN)
    means = mean_measures(clips)
    assert math.isnan(clips[1].values.median_error_px)
    assert (means["median_error_px"].value, means["median_error_px"].num_dropped) == (0.5, 1)
    assert (means["occlusion_accuracy"].value, means["occlusion_accuracy"].num_dropped) == (1.0, 0)


def test_a_clip_tells_how_much_was_measured():
    clips, _ = measured(GOOD, BAD)
    assert [(clip.num_tracks, clip.num_points, clip.num_unmatched) for clip in clips] == [(1, 3, 0), (1, 1, 1)]
