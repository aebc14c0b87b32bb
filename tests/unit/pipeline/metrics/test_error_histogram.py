import numpy as np

from pipeline.metrics.error_histogram import ErrorHistogram
from pipeline.metrics.label_comparison import LabelComparison


def comparison(distances, *, query_frame=0, measured=None) -> LabelComparison:
    distances = np.array(distances, np.float64)
    every = np.ones(distances.shape, bool)
    age = np.arange(len(distances))[:, None] - np.full(distances.shape[1], query_frame)
    evaluated = (age != 0) & (every if measured is None else np.array(measured, bool))
    return LabelComparison(distance_px=distances, age=age, evaluated=evaluated, visible=every, predicted_visible=every)


def test_quantiles_are_exact_to_a_half_percent_over_many_clips():
    rng, histogram, seen = np.random.default_rng(0), ErrorHistogram(), []
    for _ in range(5):
        distances = rng.lognormal(0, 2, (7, 300))
        histogram.add(comparison(distances))
        seen.append(distances[1:])
    for share in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(histogram.quantile(share), np.quantile(seen, share), rtol=0.01)
    by_age = np.quantile(np.concatenate(seen, axis=1), 0.5, axis=1)
    np.testing.assert_allclose(histogram.quantile_by_age(0.5)[1:], by_age, rtol=0.01)


def test_ages_count_from_the_query_both_ways_and_clips_may_differ_in_length():
    histogram = ErrorHistogram()
    histogram.add(comparison([[4.0], [2], [0], [8]], query_frame=2))
    assert histogram.num_points.tolist() == [0, 2, 1]
    histogram.add(comparison([[0.0], [4], [4], [4], [16]]))
    assert histogram.num_points.tolist() == [0, 3, 2, 1, 1]
    assert np.isnan(histogram.quantile_by_age(0.5)[0])
    np.testing.assert_allclose(histogram.quantile_by_age(0.5)[1:], [4, 4, 4, 16], rtol=0.01)


def test_what_is_not_measured_is_not_counted():
    histogram = ErrorHistogram()
    histogram.add(comparison([[0.0], [4], [400]], measured=[[1], [1], [0]]))
    assert histogram.num_points.sum() == 1
    assert np.isnan(ErrorHistogram().quantile(0.5))


def test_no_error_and_a_huge_one_go_to_the_ends():
    histogram = ErrorHistogram()
    histogram.add(comparison([[9, 9], [0, 1e9]]))
    assert histogram.quantile(0.01) < 0.005
    assert histogram.quantile(1.0) > 8000
