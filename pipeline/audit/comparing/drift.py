"""One measure in two audits: has its distribution moved?"""

import math

from pipeline.audit.comparing.divergence import (
    chance_index,
    kolmogorov_smirnov,
    mean_shift,
    population_stability_index,
    unknown_share,
    wasserstein,
)
from pipeline.audit.comparing.records import ALL_CLIPS, LEVELS, DriftRow, DriftRules
from pipeline.audit.comparing.units import measure_unit
from pipeline.audit.summing.records import Histogram


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


def _of_index(expected: Histogram, found: Histogram, psi: float, rules: DriftRules) -> tuple[str, str]:
    if math.isnan(psi) or psi < rules.psi_warn:
        return "fine", ""
    level, text = ("fail", f"PSI above {rules.psi_fail:g}") if psi > rules.psi_fail else ("warn", f"PSI of {rules.psi_warn:g} or more")
    least = min(sum(expected.counts), sum(found.counts))
    if least < rules.psi_least or psi <= chance_index(expected, found):
        return "fine", f"{text}, which so few values give by chance ({least})"
    return level, text


def _of_cumulated(expected: Histogram, found: Histogram, ks: float, rules: DriftRules) -> tuple[str, str]:
    if ks >= rules.ks_warn and min(sum(expected.counts), sum(found.counts)) > rules.ks_least:
        return "warn", f"KS distance of {rules.ks_warn:g} or more"
    return "fine", ""


def _of_unknown(expected: Histogram, found: Histogram, rules: DriftRules) -> tuple[str, str]:
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
    """How the values moved, in words; empty where a side is empty."""
    shift, distance = mean_shift(expected, found), wasserstein(expected, found)
    if math.isnan(shift):
        return ""
    unit = measure_unit(expected.measure)
    size = f"{distance:.3g}{' ' + unit if unit else ''}"
    if abs(shift) < 0.5 * distance:
        return f"spread otherwise, by {size}"
    return f"{'higher' if shift > 0 else 'lower'} by {size}"
