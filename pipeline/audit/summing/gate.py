"""Gate of a label set: the rules that it must pass to be trained on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.audit.comparing.drift import compare_histograms
from pipeline.audit.comparing.records import DriftRow
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, GateCheck, GateResult
from pipeline.audit.summing.sums import SPEED_THIRDS


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRules:
    """Limits of the gate. Source: the label quality specification, clip decision; drift by the limits of a comparison."""

    quarantine_share: float = 0.25
    error_share: float = 0.0
    weight_loss: float = 0.05  # of the mean weight, against the baseline
    fast_share: float = 0.5  # what the fastest third of the tracks must keep of its weight, as a share of what the slowest keeps


def drift_rows(baseline: AuditSummary, summary: AuditSummary) -> list[DriftRow]:
    """Drift of every measure from the baseline. Measures that only one of the two has are left out. Raises: DataError for other bins."""
    before = {each.measure: each for each in (*baseline.track_histograms, *baseline.clip_histograms)}
    after = [*summary.track_histograms, *summary.clip_histograms]
    return [compare_histograms(before[each.measure], each) for each in after if each.measure in before]


def check_gate(
    summary: AuditSummary,
    audit: AuditSet,
    *,
    baseline: AuditSummary | None = None,
    drift: Sequence[DriftRow] = (),
    rules: GateRules | None = None,
) -> GateResult:
    """Every rule with its result; those on the baseline only where there is one."""
    rules = rules or GateRules()
    checks = [
        _kept(summary),
        _share(summary, "error", rules.error_share),
        _share(summary, "quarantine", rules.quarantine_share),
        *([] if baseline is None else [_weight(summary, baseline, rules), *_drift(drift)]),
        _calibrated(audit),
        _fast_tracks(summary, rules),
    ]
    return GateResult(checks=tuple(checks))


def _kept(summary: AuditSummary) -> GateCheck:
    kept = summary.decisions.get("keep", 0)
    return GateCheck(rule="at least one clip is kept", value=f"{kept} of {summary.num_clips} clips", holds=kept > 0, blocks=True)


def _share(summary: AuditSummary, decision: str, limit: float) -> GateCheck:
    count = summary.decisions.get(decision, 0)
    share = count / max(summary.num_clips, 1)
    rule = f"at most {limit:.0%} of the clips are in {decision}" if limit else f"no clip is in {decision}"
    return GateCheck(rule=rule, value=f"{share:.1%} ({count} of {summary.num_clips})", holds=share <= limit, blocks=True)


def _weight(summary: AuditSummary, baseline: AuditSummary, rules: GateRules) -> GateCheck:
    before, now = (each.weight_sum / each.num_tracks if each.num_tracks else math.nan for each in (baseline, summary))
    return GateCheck(
        rule=f"the mean weight of a track is at most {rules.weight_loss:g} below the baseline's",
        value=f"{now:.3f}; the baseline's is {before:.3f}",
        holds=now >= before - rules.weight_loss or math.isnan(before),
        blocks=True,
    )


def _drift(rows: Sequence[DriftRow]) -> list[GateCheck]:
    checks = []
    for level, blocks, rule in (
        ("fail", True, "no measure's distribution has moved far from the baseline's"),
        ("warn", False, "no measure's distribution has moved noticeably from the baseline's"),
    ):
        moved = sorted((row for row in rows if row.level == level), key=lambda row: -row.psi if row.psi == row.psi else 0.0)
        value = "; ".join(f"{row.measure}{'' if math.isnan(row.psi) else f' (PSI {row.psi:.2f})'}: {row.note}" for row in moved) or "none"
        checks.append(GateCheck(rule=rule, value=value, holds=not moved, blocks=blocks))
    return checks


def _calibrated(audit: AuditSet) -> GateCheck:
    calibrated = audit.calibration is not None
    found = (
        f"{audit.weights}"
        if calibrated
        else f"no: they come from fixed formulas ({audit.weights}), which order tracks but give no probability"
    )
    return GateCheck(rule="weights come from a calibration of this labeler", value=found, holds=calibrated, blocks=False)


def _fast_tracks(summary: AuditSummary, rules: GateRules) -> GateCheck:
    masses = {mass.group: mass for mass in summary.masses}
    slow, fast = (masses[SPEED_THIRDS[0]].mean, masses[SPEED_THIRDS[2]].mean)
    broken = not math.isnan(slow) and slow > 0 and fast < rules.fast_share * slow
    return GateCheck(
        rule=f"the fastest third of the tracks has at least {rules.fast_share:.0%} of the slowest third's mean weight",
        value="unknown" if math.isnan(slow) else f"{fast:.3f} against {slow:.3f}",
        holds=not broken,
        blocks=False,
    )
