"""Two models on the same clips."""

import math

import numpy as np
import pytest

from pipeline.errors import DataError
from trainer.evaluation import paired_difference


def test_the_difference_is_over_pairs_in_which_both_are_defined():
    found = paired_difference([1.0, 2.0, math.nan, 5.0], [0.5, 1.5, 9.0, math.nan])
    assert (found.mean, found.num_pairs) == (-0.5, 2)
    assert math.isnan(found.low)
    assert math.isnan(found.high)  # two clips are too few for an interval
    assert found.relative == pytest.approx(-0.5 / 1.5)


def test_an_interval_takes_five_pairs():
    four, five = ([1.0, 2.0, 3.0, 4.0, 5.0][:number] for number in (4, 5))
    assert math.isnan(paired_difference(four, [value - 0.5 for value in four]).low)
    found = paired_difference(five, [value - 0.5 for value in five])
    assert (found.low, found.high) == (-0.5, -0.5)  # equal differences leave no doubt


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for trial in range(100):
        before = rng.normal(size=30)
        found = paired_difference(before, before + 0.3 + rng.normal(size=30), seed=trial)
        inside += found.low <= 0.3 <= found.high
    assert 88 <= inside <= 99


def test_nothing_to_compare_is_nan_and_other_lengths_are_refused():
    assert math.isnan(paired_difference([math.nan], [1.0]).mean)
    with pytest.raises(DataError, match="same clips"):
        paired_difference([1.0], [1.0, 2.0])
