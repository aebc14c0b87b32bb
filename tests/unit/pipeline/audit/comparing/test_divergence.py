import math

import pytest

from pipeline.audit.comparing.drift import (
    chance_index,
    kolmogorov_smirnov,
    mean_shift,
    population_stability_index,
    unknown_share,
    wasserstein,
)
from pipeline.audit.summing.records import Histogram
from pipeline.errors import DataError

EDGES = (0.0, 1.0, 3.0, 4.0)  # centres 0.5, 2, 3.5


def histogram(*counts: int, unknown: int = 0, measure: str = "jump", edges: tuple[float, ...] = EDGES) -> Histogram:
    return Histogram(measure=measure, edges=edges, counts=counts, unknown=unknown)


def test_values_by_hand():
    before, after = histogram(50, 30, 20), histogram(25, 30, 45)
    # (0.25 - 0.5) ln(0.25 / 0.5) + 0 + (0.45 - 0.2) ln(0.45 / 0.2) = 0.25 ln 2 + 0.25 ln 2.25
    assert population_stability_index(before, after) == pytest.approx(0.25 * math.log(2) + 0.25 * math.log(2.25))
    assert kolmogorov_smirnov(before, after) == pytest.approx(0.25)
    assert wasserstein(before, after) == pytest.approx(0.25 * 1.5 + 0.25 * 1.5)  # a quarter moves from 0.5 over 2 to 3.5
    assert mean_shift(before, after) == pytest.approx(0.25 * 3.0)


def test_an_empty_bin_holds_a_ten_thousandth():
    found = population_stability_index(histogram(100, 0, 0), histogram(0, 100, 0))
    assert found == pytest.approx(2 * (1 - 1e-4) * math.log(1e4))


def test_equal_shares_are_no_distance_whatever_the_numbers():
    before, after = histogram(1, 2, 3, unknown=9), histogram(100, 200, 300)
    for distance in (population_stability_index, kolmogorov_smirnov, wasserstein):
        assert distance(before, after) == pytest.approx(0, abs=1e-12)


def test_all_distances_are_symmetric_and_the_shift_changes_its_sign():
    before, after = histogram(5, 0, 7), histogram(1, 9, 2)
    for distance in (population_stability_index, kolmogorov_smirnov, wasserstein, chance_index):
        assert distance(before, after) == pytest.approx(distance(after, before))
    assert mean_shift(before, after) == pytest.approx(-mean_shift(after, before))


def test_chance_is_that_of_a_chi_square():
    # three bins in use: 2 degrees of freedom, standard deviation 2
    assert chance_index(histogram(40, 30, 30), histogram(10, 20, 20)) == pytest.approx((1 / 100 + 1 / 50) * (2 + 3 * 2))
    assert chance_index(histogram(100, 0, 0), histogram(50, 0, 0)) == 0


def test_a_side_that_knows_nothing_gives_nan():
    for distance in (population_stability_index, kolmogorov_smirnov, wasserstein, mean_shift, chance_index):
        assert math.isnan(distance(histogram(1, 2, 3), histogram(0, 0, 0, unknown=6)))
    assert unknown_share(histogram(1, 1, 0, unknown=6)) == pytest.approx(0.75)
    assert math.isnan(unknown_share(histogram(0, 0, 0)))


@pytest.mark.parametrize("other", [{"measure": "flicker"}, {"edges": (0.0, 1.0, 3.0, 5.0)}])
def test_other_bins_or_measures_are_refused(other):
    with pytest.raises(DataError, match="must be equal"):
        population_stability_index(histogram(1, 2, 3), histogram(1, 2, 3, **other))
