"""Counts and canary clips to a comparison of two audits."""

from collections.abc import Sequence

from pipeline.audit.comparing.canary import canary_report
from pipeline.audit.comparing.distributions import MEASURES, PairedCounts
from pipeline.audit.comparing.drift import compare_histograms
from pipeline.audit.comparing.motion import MOTION_BINS
from pipeline.audit.comparing.records import ALL_CLIPS, CanaryClip, Comparison, DriftRow, DriftRules
from pipeline.audit.stored.audit_set import AuditSet


def compare_audits(
    audits: tuple[AuditSet, AuditSet],
    counts: PairedCounts,
    canaries: Sequence[CanaryClip],
    *,
    relation: str,
    rules: DriftRules | None = None,
) -> Comparison:
    """Judge what was counted: every measure over all clips, then in each bin of the camera's motion where there are several bins."""
    rules = rules or DriftRules()
    bins = [name for name in MOTION_BINS if name in counts.num_clips]
    groups = [ALL_CLIPS, *(bins if len(bins) > 1 else [])]
    return Comparison(
        first=audits[0],
        second=audits[1],
        rules=rules,
        num_clips={name: counts.num_clips[name] for name in (ALL_CLIPS, *bins)},
        left_out=dict(sorted(counts.left_out.items())),
        rows=tuple(row for group in groups for row in _rows(counts, group, rules)),
        canary=canary_report(relation, canaries, rules),
        warnings=tuple(_warnings(*audits)),
    )


def _rows(counts: PairedCounts, group: str, rules: DriftRules) -> list[DriftRow]:
    """The measures of which either side knows something."""
    pairs = [counts.histograms(group, measure) for measure in MEASURES]
    return [compare_histograms(*pair, rules=rules, group=group) for pair in pairs if any(sum(side.counts) for side in pair)]


def _warnings(first: AuditSet, second: AuditSet) -> list[str]:
    said = {
        "measures": "formulas of the measures differ ({} and {}): drift may come from them, not from the labels; audit both by one version",
        "cycle": "the way back was measured otherwise ({} and {}): fb_cycle and what follows from it cannot be compared",
        "weights": "weights were made by different rules ({} and {}): compare weight and bad_probability with that in mind",
    }
    return [
        text.format(getattr(first, name), getattr(second, name))
        for name, text in said.items()
        if getattr(first, name) != getattr(second, name)
    ]
