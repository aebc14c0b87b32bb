import numpy as np
import pytest

from pipeline.audit.comparing.drift import compare_histograms
from pipeline.audit.summing.records import Histogram
from pipeline.audit.summing.sums import bin_counts, measure_edges


def counted(values: np.ndarray, measure: str = "neigh_max", unknown: int = 0) -> Histogram:
    edges = measure_edges(measure)
    return Histogram(measure=measure, edges=edges, counts=tuple(bin_counts(values, edges).tolist()), unknown=unknown)


def drawn(count: int, *, seed: int = 0, median: float = 1.0) -> np.ndarray:
    return median * np.exp(0.6 * np.random.default_rng(seed).standard_normal(count))


def test_two_samples_of_one_distribution_are_fine():
    row = compare_histograms(counted(drawn(5000)), counted(drawn(5000, seed=1)))
    assert (row.level, row.note) == ("fine", "")
    assert row.psi < 0.02
    assert (row.num_expected, row.num_found) == (5000, 5000)


def test_a_planted_shift_fails_and_is_named_in_pixels():
    row = compare_histograms(counted(drawn(5000)), counted(drawn(5000, seed=1, median=2.0)))
    assert row.level == "fail"
    assert (row.measure, row.unit) == ("neigh_max", "px")
    assert row.note.startswith("higher by 1.")  # the mean goes from 1.20 to 2.39
    assert "PSI above 0.25" in row.note


def test_the_same_shift_downwards_is_called_lower():
    assert compare_histograms(counted(drawn(5000, median=2.0)), counted(drawn(5000, seed=1))).note.startswith("lower by 1.")


def test_a_wider_spread_is_neither_higher_nor_lower():
    rng = np.random.default_rng(0)
    narrow, wide = (counted(np.clip(rng.normal(0.5, sigma, 5000), 0, 1), "weight") for sigma in (0.05, 0.2))
    assert compare_histograms(narrow, wide).note.startswith("spread otherwise, by 0.1")


def test_a_smaller_shift_warns():
    row = compare_histograms(counted(drawn(5000)), counted(drawn(5000, seed=1, median=1.25)))
    assert row.level == "warn"
    assert 0.1 <= row.psi <= 0.25


def test_few_values_that_differ_by_chance_are_not_blamed():
    row = compare_histograms(counted(drawn(120)), counted(drawn(120, seed=3)))
    assert row.psi > 0.1
    assert row.level == "fine"
    assert "by chance (120)" in row.note
    tiny = compare_histograms(counted(np.full(9, 0.15)), counted(np.full(9, 30.0)))
    assert (tiny.level, tiny.psi > 10) == ("fine", True)


def test_a_ks_distance_counts_only_above_a_thousand_values():
    """Half-and-half moved by a tenth between two bins: PSI 0.0405, KS 0.1."""
    before, after = (Histogram(measure="weight", edges=(0.0, 0.5, 1.0), counts=counts, unknown=0) for counts in ((1000, 1001), (1202, 799)))
    row = compare_histograms(before, after)
    assert row.psi < 0.1
    assert (row.level, "KS distance" in row.note) == ("warn", True)
    half = [Histogram(measure="weight", edges=(0.0, 0.5, 1.0), counts=counts, unknown=0) for counts in ((500, 500), (601, 399))]
    assert compare_histograms(*half).level == "fine"


def test_more_unknown_values_warn_and_a_measure_that_is_gone_is_named():
    known = drawn(1000)
    row = compare_histograms(counted(known), counted(known[:800], unknown=200))
    assert (row.level, row.note) == ("warn", "unknown for 20% of the values, before 0%")
    gone = compare_histograms(counted(known), counted(np.zeros(0), unknown=1000))
    assert (gone.level, gone.note) == ("warn", "known only in the first")
    assert np.isnan(gone.psi)
    assert compare_histograms(counted(np.zeros(0), unknown=1000), counted(known)).note == "known only in the second"


def test_a_measure_that_nobody_knows_is_fine():
    nothing = counted(np.zeros(0), unknown=1000)
    assert compare_histograms(nothing, nothing).level == "fine"


@pytest.mark.parametrize(("measure", "unit"), [("ncc_mean", ""), ("len", "frames"), ("num_tracks", "tracks"), ("fb_cycle", "px")])
def test_rows_carry_units(measure, unit):
    one = counted(np.full(5, 0.5), measure)
    assert compare_histograms(one, one).unit == unit
