"""Drift of one measure between two audits: distances of histograms with the same bins, judged by the rules."""

import math

import numpy as np

from pipeline.audit.comparing.records import ALL_CLIPS, LEVELS, DriftRow, DriftRules, Level
from pipeline.audit.summing.records import Histogram
from pipeline.errors import DataError

_PIXELS = (
    *("fb_cycle", "fb_all", "neigh_max", "disagree_median", "disagree_max", "sampson_med", "homog_med", "colour_drift"),
    "speed_px",
)
_UNITS = {
    **dict.fromkeys(_PIXELS, "px"),  # of the 256 x 256 raster
    **dict.fromkeys(("len", "mean_length"), "frames"),
    **dict.fromkeys(("num_tracks", "usable_tracks"), "tracks"),
}
_FLOOR = 1e-4  # share that an empty bin is taken to hold


def measure_unit(measure: str) -> str:
    """Unit of a measure of tracks or clips; "" for shares, likenesses and ratios."""
    return _UNITS.get(measure, "")


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


def compare_histograms(expected: Histogram, found: Histogram, *, rules: DriftRules | None = None, group: str = ALL_CLIPS) -> DriftRow:
    """Compare a measure's histograms in bins that are the same.

    PSI of 0.1 or more warns, above 0.25 fails, where both sides have 100 values and would not give as much by chance; a
    Kolmogorov-Smirnov distance of 0.1 or more warns where both have more than 1000; so does a share of unknown values that changed by
    more than 0.1 where both have 100, known or not.
    Raises: DataError if the bins differ.
    """
    rules = rules or DriftRules()
    psi, ks = population_stability_index(expected, found), kolmogorov_smirnov(expected, found)
    shape = [_of_index(expected, found, psi, rules), _of_cumulated(expected, found, ks, rules)]
    remarks = [*shape, _of_unknown(expected, found, rules)]
    moved = _movement(expected, found) if any(level != "fine" for level, _ in shape) else ""
    return DriftRow(
        measure=expected.measure,
        psi=psi,
        ks=ks,
        wasserstein=wasserstein(expected, found),
        unit=measure_unit(expected.measure),
        level=max((level for level, _ in remarks), key=LEVELS.index),
        note=", ".join(text for text in (moved, *(text for _, text in remarks)) if text),
        group=group,
        num_expected=sum(expected.counts),
        num_found=sum(found.counts),
    )


def _of_index(expected: Histogram, found: Histogram, psi: float, rules: DriftRules) -> tuple[Level, str]:
    if math.isnan(psi) or psi < rules.psi_warn:
        return "fine", ""
    level: Level = "fail" if psi > rules.psi_fail else "warn"
    text = f"PSI above {rules.psi_fail:g}" if level == "fail" else f"PSI of {rules.psi_warn:g} or more"
    least = min(sum(expected.counts), sum(found.counts))
    if least < rules.psi_least or psi <= chance_index(expected, found):
        return "fine", f"{text}, which so few values give by chance ({least})"
    return level, text


def _of_cumulated(expected: Histogram, found: Histogram, ks: float, rules: DriftRules) -> tuple[Level, str]:
    if ks >= rules.ks_warn and min(sum(expected.counts), sum(found.counts)) > rules.ks_least:
        return "warn", f"KS distance of {rules.ks_warn:g} or more"
    return "fine", ""


def _of_unknown(expected: Histogram, found: Histogram, rules: DriftRules) -> tuple[Level, str]:
    before, after = unknown_share(expected), unknown_share(found)
    if min(sum(side.counts) + side.unknown for side in (expected, found)) < rules.psi_least or not sum(expected.counts) + sum(found.counts):
        return "fine", ""
    if not sum(found.counts):
        return "warn", "known only in the first"
    if not sum(expected.counts):
        return "warn", "known only in the second"
    if abs(after - before) > rules.unknown_warn:
        return "warn", f"unknown for {after:.0%} of the values, before {before:.0%}"
    return "fine", ""


def _movement(expected: Histogram, found: Histogram) -> str:
    """Movement of the values, in words; empty where a side is empty."""
    shift, distance = mean_shift(expected, found), wasserstein(expected, found)
    if math.isnan(shift):
        return ""
    unit = measure_unit(expected.measure)
    size = f"{distance:.3g}{' ' + unit if unit else ''}"
    if abs(shift) < 0.5 * distance:
        return f"spread otherwise, by {size}"
    return f"{'higher' if shift > 0 else 'lower'} by {size}"
