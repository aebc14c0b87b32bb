import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.metrics.trajectories import associate_by_time


def test_frames_are_matched_to_the_nearest_time_within_the_limit() -> None:
    # 0.004 is near 0; 0.106 near 0.1; 0.15 is 0.05 from both neighbours and left out; 0.309 is 9 ms after the last
    found = associate_by_time(np.array([0.004, 0.106, 0.15, 0.309]), np.array([0, 0.1, 0.2, 0.3]))
    np.testing.assert_array_equal(found.predicted_index, [0, 1, 3])
    np.testing.assert_array_equal(found.true_index, [0, 1, 3])


def test_the_limit_itself_is_inside_and_widening_it_finds_more() -> None:
    predicted, true = np.array([0.25, 1.5]), np.array([0.0, 1.0])
    np.testing.assert_array_equal(associate_by_time(predicted, true, max_difference_s=0.25).predicted_index, [0])
    np.testing.assert_array_equal(associate_by_time(predicted, true, max_difference_s=0.5).true_index, [0, 1])


def test_of_two_equally_near_frames_the_earlier_is_taken() -> None:
    assert associate_by_time(np.array([0.5]), np.array([0.0, 1.0]), max_difference_s=1).true_index == [0]


def test_nothing_to_match_gives_no_pairs() -> None:
    assert len(associate_by_time(np.array([1.0]), np.zeros(0)).predicted_index) == 0
    assert len(associate_by_time(np.zeros(0), np.array([1.0])).true_index) == 0


def test_unsorted_or_broken_times_are_refused() -> None:
    with pytest.raises(DataError, match="increase"):
        associate_by_time(np.array([0.0]), np.array([0.0, 0.0]))
    with pytest.raises(DataError, match="finite"):
        associate_by_time(np.array([np.nan]), np.array([0.0]))
