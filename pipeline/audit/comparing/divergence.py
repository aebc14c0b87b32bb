"""How far two histograms of the same bins are apart."""

import numpy as np

from pipeline.audit.summing.records import Histogram
from pipeline.errors import DataError

_FLOOR = 1e-4  # share that an empty bin is taken to hold


def population_stability_index(expected: Histogram, found: Histogram) -> float:
    """PSI = sum over bins of (q - p) ln(q / p), p and q the shares of the known values, at least 1e-4 each. NaN if a side is empty.

    Symmetric. By custom less than 0.1 is no change, more than 0.25 is a large one.
    Raises: DataError if the bins differ.
    """
    p, q = _shares(expected, found)
    p, q = np.maximum(p, _FLOOR), np.maximum(q, _FLOOR)
    return float(((q - p) * np.log(q / p)).sum())


def chance_index(expected: Histogram, found: Histogram, *, deviations: float = 3.0) -> float:
    """PSI that two samples of the same distribution rarely exceed: its mean and some standard deviations.

    With k bins in use and samples of n and m, PSI is about (1/n + 1/m) times chi-square of k - 1 degrees of freedom.
    NaN if a side is empty.
    """
    _check(expected, found)
    n, m = sum(expected.counts), sum(found.counts)
    if not (n and m):
        return float("nan")
    freedom = max(sum(a + b > 0 for a, b in zip(expected.counts, found.counts, strict=True)) - 1, 0)
    return (1 / n + 1 / m) * (freedom + deviations * (2 * freedom) ** 0.5)


def kolmogorov_smirnov(expected: Histogram, found: Histogram) -> float:
    """Largest distance of the cumulated shares at the bins' edges, 0 to 1. NaN if a side is empty."""
    p, q = _shares(expected, found)
    return float(np.abs(np.cumsum(q - p)).max())


def wasserstein(expected: Histogram, found: Histogram) -> float:
    """1-Wasserstein distance in the measure's unit, all values of a bin at its centre. NaN if a side is empty."""
    p, q = _shares(expected, found)
    return float((np.abs(np.cumsum(q - p))[:-1] * np.diff(_centres(expected))).sum())


def mean_shift(expected: Histogram, found: Histogram) -> float:
    """By how much the mean grew, in the measure's unit, all values of a bin at its centre. NaN if a side is empty."""
    p, q = _shares(expected, found)
    return float(((q - p) * _centres(expected)).sum())


def unknown_share(histogram: Histogram) -> float:
    """Share of the values that are unknown; NaN where there is no value at all."""
    total = sum(histogram.counts) + histogram.unknown
    return histogram.unknown / total if total else float("nan")


def _centres(histogram: Histogram) -> np.ndarray:
    edges = np.array(histogram.edges)
    return np.asarray((edges[:-1] + edges[1:]) / 2)


def _shares(expected: Histogram, found: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the known values, float64 "K" each; NaN for a side without any."""
    _check(expected, found)
    p, q = (np.array(histogram.counts, np.float64) for histogram in (expected, found))
    nothing = np.full(len(p), np.nan)
    return (p / p.sum() if p.sum() else nothing), (q / q.sum() if q.sum() else nothing)


def _check(expected: Histogram, found: Histogram) -> None:
    if expected.measure != found.measure or expected.edges != found.edges:
        raise DataError(
            f"histograms of {expected.measure} ({len(expected.counts)} bins) and {found.measure} ({len(found.counts)} bins) cannot be"
            " compared: measure and edges must be equal; audit again with one version of trackmill"
        )
