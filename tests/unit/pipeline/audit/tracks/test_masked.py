import numpy as np
import pytest

from pipeline.audit.tracks.inputs import max_where, mean_where, median_where, min_where

VALUES = np.array([[1.0, 5.0, 9.0], [4.0, 7.0, 9.0], [2.0, 100.0, 9.0], [8.0, 6.0, 9.0]])
WHERE = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 1, 0]], bool)


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [(max_where, [8, 7, np.nan]), (min_where, [1, 5, np.nan]), (mean_where, [3.75, 6, np.nan]), (median_where, [3, 6, np.nan])],
)
def test_only_what_counts_is_counted(statistic, expected):
    np.testing.assert_allclose(statistic(VALUES, WHERE), expected)
    np.testing.assert_array_equal(np.isnan(statistic(VALUES, WHERE, at_least=4)), [False, True, True])


@pytest.mark.parametrize("statistic", [max_where, min_where, mean_where, median_where])
def test_nothing_at_all_is_unknown(statistic):
    assert np.isnan(statistic(np.zeros((0, 2)), np.zeros((0, 2), bool))).tolist() == [True, True]
