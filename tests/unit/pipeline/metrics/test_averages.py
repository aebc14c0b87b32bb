from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.metrics.averages import defined_mean

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "depth.npz"


def test_undefined_values_are_left_out_and_counted() -> None:
    mean = defined_mean([1, np.nan, 4])
    assert (mean.value, mean.num_defined, mean.num_dropped) == (2.5, 2, 1)


def test_weights_pull_the_mean_and_a_weight_of_zero_drops_a_value() -> None:
    mean = defined_mean([1, 5, 100], weights=[3, 1, 0])
    assert (mean.value, mean.num_defined, mean.num_dropped) == (2, 2, 1)


def test_the_mean_of_nothing_is_nan() -> None:
    assert np.isnan(defined_mean([]).value)
    assert np.isnan(defined_mean([np.nan]).value)
    assert np.isnan(defined_mean([1.0], weights=[0]).value)


def test_the_reference_weighs_depth_sequences_by_their_pixels() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        mean = defined_mean(golden["aggregation/in/per_sequence"], golden["aggregation/in/valid_pixels"])
        assert mean.value == pytest.approx(float(golden["aggregation/out/mean"]), abs=1e-9)


@pytest.mark.parametrize("weights", [[1], [1, -1], [1, np.nan], [1, np.inf]])
def test_weights_of_another_length_or_that_are_no_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(DataError, match="weights"):
        defined_mean([1, 2], weights)
