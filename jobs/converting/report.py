"""Summary of a conversion or a rendering."""

import typer

from jobs.console import DONE, FAILED, counted, error_exit, print_summary, say_unexpected
from jobs.converting.job import ConvertingOutcome
from jobs.next_commands import after_conversion
from pipeline.datasets.check_tables import CheckSummary


def report(outcome: ConvertingOutcome, root: str, max_error_rate: float) -> int:
    """Print what came of a conversion, and give the exit code."""
    dry_run = outcome.estimate is not None
    if outcome.checks:
        print_summary("checks", [(check.name, _check_text(check)) for check in outcome.checks])
    following = [] if dry_run else after_conversion(root, evaluation=outcome.evaluation)
    print_summary("plan" if dry_run else "shards", _summary_rows(outcome, root), next_commands=following)
    for row in outcome.first_errors:
        typer.echo(f"  {row.stage}: {row.message}", err=True)
    say_unexpected(outcome.unexpected)
    if outcome.estimate is not None:
        if outcome.estimate.error is None:
            return DONE
        typer.echo(f"error: the first clip cannot be converted: {outcome.estimate.error}", err=True)
        return FAILED
    return error_exit(outcome.num_errors, outcome.plan.clips + outcome.num_errors - outcome.failed_clips, max_error_rate)


def _summary_rows(outcome: ConvertingOutcome, root: str) -> list[tuple[str, object]]:
    plan, estimate = outcome.plan, outcome.estimate
    rows: list[tuple[str, object]] = [
        ("root", root),
        ("dataset", f"{outcome.dataset}, licence: {outcome.license or 'unknown'}"),
        ("sequences", plan.sources),
        ("clips", f"{plan.clips}, {counted(plan.frames, 'frame')} in all, in {counted(plan.shards, 'shard')}"),
    ]
    if estimate is not None and estimate.error is None:
        hours = estimate.clip_cpu_s * plan.clips / 3600
        rows.append(("estimate", f"{estimate.clip_bytes * plan.clips / 1e9:.3f} GB, {hours:.2f} CPU hours, from the first clip"))
    return [*rows, ("errors", f"{outcome.num_errors}{', see errors/ below the root' if outcome.num_errors else ''}")]


def _check_text(check: CheckSummary) -> str:
    found = ", ".join(f"{count} {name}" for name, count in check.findings.items())
    failed = f"{check.failed} FAILED ({found})" if check.failed else "none failed"
    return f"median {check.median:.3g}, worst {check.worst:.3g}, bound {check.bound:g}; {counted(check.clips, 'clip')}, {failed}"
