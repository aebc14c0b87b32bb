"""Summary of an audit."""

from collections.abc import Sequence

import typer

from jobs.auditing.run_job import AuditingOutcome
from jobs.console import DONE, GATE_CLOSED, counted, error_exit, print_summary, say_unexpected
from jobs.next_commands import after_audit
from pipeline.audit.report.wording import reason_remedy
from pipeline.audit.summing.records import AuditSummary, GateCheck, GateResult
from pipeline.audit.verdict import DECISIONS, REASONS


def report_audit(outcome: AuditingOutcome, root: str, max_error_rate: float, *, gated: bool) -> int:
    """Print what came of it, and give the exit code: the gate's, or without the gate that of the clips in error.

    Args:
        root: as the user wrote it.
    """
    summary, gate, plan = outcome.summary, outcome.gate, outcome.plan
    if summary is None or gate is None:
        return report_audit_plan(outcome)
    remedies = _remedies(outcome, summary)
    rows: list[tuple[str, object]] = [
        ("audit", plan.audit.name),
        ("label set", plan.audit.label_set),
        ("weights", plan.audit.weights),
        *_totals(summary),
        *(("remedy", line) for line in remedies),
        ("this run", _run_text(outcome)),
        *_costs(outcome),
        *(("gate", _check_text(check)) for check in gate.checks),
        ("report", outcome.report),
    ]
    print_summary("audit", rows, next_commands=after_audit(root, plan.audit.name, passes=gate.passes, worst=worst_clip(summary)))
    for row in outcome.first_errors:
        typer.echo(f"  {row.stage}: {row.message}", err=True)
    say_unexpected(outcome.unexpected)
    for warning in plan.calibration.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return gate_exit(gate, remedies) if gated else error_exit(summary.decisions["error"], summary.num_clips, max_error_rate)


def report_audit_plan(outcome: AuditingOutcome) -> int:
    """Print what an audit would do."""
    plan, costs = outcome.plan, outcome.costs
    rows: list[tuple[str, object]] = [
        ("audit", plan.audit.name),
        ("weights", plan.audit.weights),
        ("cycle", plan.audit.cycle),
        ("to audit", _run_text(outcome)),
    ]
    if costs.cpu_s:
        hours = costs.cpu_s * _num_clips(outcome) / 3600
        rows.append(("estimate", f"{hours:.3f} CPU hours, from the first clip ({costs.cpu_s:.2f} s for {costs.video_s:.1f} s of video)"))
    print_summary("plan", [*rows, ("report", outcome.report)])
    for warning in plan.calibration.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return DONE


def worst_clip(summary: AuditSummary) -> str | None:
    """Key of the worst clip that has tracks and is not kept; None if there is none."""
    return next((clip.key for clip in summary.worst if clip.verdict.decision != "keep" and clip.num_tracks), None)


def _remedies(outcome: AuditingOutcome, summary: AuditSummary) -> list[str]:
    found = [(reason, count, reason_remedy(reason, outcome.plan.label_set.queries)) for reason, count in sorted(summary.reasons.items())]
    return [f"{reason} ({counted(count, 'clip')}): {remedy}" for reason, count, remedy in found if remedy]


def gate_exit(gate: GateResult, remedies: Sequence[str] = ()) -> int:
    """Say on standard error which rules do not hold; GATE_CLOSED if the labels must not be trained on, else DONE.

    Args:
        remedies: what helps against the reasons of clips that are left out, a line each.
    """
    for check in gate.checks:
        if not check.holds:
            typer.echo(f"{'gate' if check.blocks else 'warning'}: {check.rule}; found {check.value}", err=True)
    if gate.passes:
        return DONE
    for line in remedies:
        typer.echo(f"remedy: {line}", err=True)
    typer.echo(
        "error: the gate does not let these labels pass: read the report before you train on them (--no-gate leaves that to you)", err=True
    )
    return GATE_CLOSED


def _totals(summary: AuditSummary) -> list[tuple[str, object]]:
    ranked = sorted(summary.reasons.items(), key=lambda item: (-item[1], item[0]))
    why = ", ".join(f"{count} {reason} ({REASONS[reason]})" for reason, count in ranked)
    tracks = max(summary.num_tracks, 1)
    return [
        ("clips", f"{summary.num_clips} in {counted(len(summary.shards), 'shard')}, {summary.video_s / 3600:.3f} h of video"),
        *((decision, summary.decisions[decision]) for decision in DECISIONS),
        ("reasons", f"{why}; the worst of a clip decides" if why else "none"),
        ("tracks", f"{summary.num_tracks:,}, visible in {counted(summary.num_visible, 'point')}"),
        ("mean weight", f"{summary.weight_sum / tracks:.3f}; {summary.trusted_tracks / tracks:.1%} of the tracks have 0.5 or more"),
    ]


def _run_text(outcome: AuditingOutcome) -> str:
    plan = outcome.plan
    left = f"; {counted(plan.not_labelled, 'shard')} not labelled yet" if plan.not_labelled else ""
    done = len(plan.shards) - len(plan.missing)
    return f"{counted(_num_clips(outcome), 'clip')} in {counted(len(plan.missing), 'shard')}; {counted(done, 'shard')} done before{left}"


def _num_clips(outcome: AuditingOutcome) -> int:
    return sum(outcome.plan.sizes[shard] for shard in outcome.plan.missing)


def _costs(outcome: AuditingOutcome) -> list[tuple[str, object]]:
    costs = outcome.costs
    rows: list[tuple[str, object]] = []
    if costs.video_s:
        per_hour = costs.cpu_s / costs.video_s * 3600
        rows.append(("cost", f"{per_hour:,.0f} CPU seconds per hour of video ({costs.cpu_s:.1f} s for {costs.video_s:.1f} s)"))
    if costs.ways_lost:
        rows.append(("no way back", f"{counted(costs.ways_lost, 'clip')} without a cycle error: their tracks could not be followed back"))
    return rows


def _check_text(check: GateCheck) -> str:
    word = "met" if check.holds else ("not met" if check.blocks else "warning")
    return f"{word}: {check.rule}; found {check.value}"
