import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.depth_alignment import ALIGNMENTS, DepthAlignment, align_depth, lower_median


def test_the_median_of_an_even_count_is_the_lower_of_two() -> None:
    assert lower_median(np.array([4.0, 1, 3, 2])) == 2
    assert lower_median(np.array([5.0, 1, 3])) == 3
    assert align_depth(np.array([2.0, 2, 8, 8]), np.array([1.0, 2, 3, 4]), "median").scale == 1


def test_metric_depth_is_left_alone() -> None:
    depth = np.array([1.0, 2])
    fit = align_depth(depth, 3 * depth, "metric")
    assert (fit.scale, fit.shift) == (1, 0)
    np.testing.assert_array_equal(fit.apply(depth), depth)


@pytest.mark.parametrize("alignment", [name for name in ALIGNMENTS if name != "metric"])
def test_a_pure_scale_is_undone_by_every_fit(alignment: str) -> None:
    true = np.random.default_rng(1).uniform(1, 9, 101)
    fit = align_depth(true / 4, true, alignment)
    np.testing.assert_allclose(fit.apply(true / 4), true, rtol=1e-3)


def test_the_absolute_fit_stays_with_the_many_where_the_mean_is_pulled_away() -> None:
    predicted = np.array([1.0, 2, 3, 4, 5])
    true = 2 * predicted
    true[4] = 90
    # the smallest sum of |s p - g| is the median of g / p with weights p: 2 carries 10 of 15
    assert align_depth(predicted, true, "scale_l1").scale == pytest.approx(2, abs=0.01)  # least squares would say 9.27


def test_the_absolute_fit_never_falls_below_a_thousandth() -> None:
    assert align_depth(np.array([-1.0, -2, -3]), np.array([1.0, 2, 3]), "scale_l1").scale == 1e-3


def test_least_squares_finds_scale_and_shift() -> None:
    predicted = np.array([0.0, 1, 2, 5])
    fit = align_depth(predicted, 3 * predicted + 0.5, "scale_shift_l2")
    assert (fit.scale, fit.shift) == (pytest.approx(3), pytest.approx(0.5))
    single = align_depth(np.array([2.0]), np.array([5.0]), "scale_shift_l2")  # of many the smallest: (2, 1)
    assert (single.scale, single.shift) == (pytest.approx(2), pytest.approx(1))


def test_the_published_scale_and_shift_fit_starts_at_the_medians_and_moves_by_little_more_than_a_tenth() -> None:
    predicted = np.random.default_rng(2).uniform(1, 9, 99).astype(np.float32)
    fit = align_depth(predicted, predicted + 5, "scale_shift_l1")
    start = align_depth(predicted, predicted + 5, "median").scale
    assert 0.05 < fit.shift < 0.2  # the best one is 5
    assert abs(fit.scale - start) < 0.2
    near = align_depth(predicted, predicted, "scale_shift_l1")
    assert (near.scale, near.shift) == (1, 0)


def test_an_alignment_keeps_the_precision_of_the_prediction() -> None:
    assert DepthAlignment(scale=2.0, shift=1.0).apply(np.ones(2, np.float32)).dtype == np.float32
    assert align_depth(np.array([1, 2], np.float16), np.array([2.0, 4]), "median").scale == 2


@pytest.mark.parametrize("alignment", ["median", "scale_l1", "scale_shift_l1"])
def test_a_prediction_of_zeros_has_no_scale(alignment: str) -> None:
    assert not np.isfinite(align_depth(np.zeros(5), np.ones(5), alignment).scale)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_no_pixels_have_no_scale(alignment: str) -> None:
    assert np.isnan(align_depth(np.zeros(0), np.zeros(0), alignment).scale)


def test_an_unknown_alignment_and_disagreeing_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="'mean'"):
        align_depth(np.ones(2), np.ones(2), "mean")
    with pytest.raises(DataError, match="one length"):
        align_depth(np.ones(2), np.ones(3), "median")
