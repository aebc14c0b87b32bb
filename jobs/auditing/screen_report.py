"""Summary of a screen."""

import typer

from jobs.auditing.screen_job import ScreeningOutcome
from jobs.console import DONE, counted, error_exit, print_summary, say_unexpected
from jobs.next_commands import after_screen
from pipeline.audit.verdict import DECISIONS, REASONS


def report_screen(outcome: ScreeningOutcome, root: str, max_error_rate: float) -> int:
    """Print what came of it, and give the exit code, which looks at all shards screened so far."""
    rows = [("root", root), *_totals_rows(outcome), ("this run", _run_text(outcome)), *_cost_rows(outcome)]
    print_summary("screen", rows, next_commands=after_screen(root))
    for row in outcome.first_errors:
        typer.echo(f"  {row.stage}: {row.message}", err=True)
    say_unexpected(outcome.unexpected)
    return error_exit(outcome.totals.decisions["error"], outcome.totals.clips, max_error_rate)


def report_plan(outcome: ScreeningOutcome, root: str) -> int:
    """Print what a screen would do."""
    rows: list[tuple[str, object]] = [("root", root), ("to screen", _run_text(outcome))]
    if outcome.cpu_s:
        hours = outcome.cpu_s * outcome.num_clips / 3600
        rows.append(
            ("estimate", f"{hours:.3f} CPU hours, from the first clip ({outcome.cpu_s:.2f} s for {outcome.video_s:.1f} s of video)")
        )
    print_summary("plan", rows)
    return DONE


def _totals_rows(outcome: ScreeningOutcome) -> list[tuple[str, object]]:
    totals = outcome.totals
    ranked = sorted(totals.reasons.items(), key=lambda item: (-item[1], item[0]))
    why = ", ".join(f"{count} {reason} ({REASONS[reason]})" for reason, count in ranked)
    rows: list[tuple[str, object]] = [
        ("clips", f"{totals.clips} in {counted(outcome.already_done + outcome.num_shards, 'shard')}"),
        *((decision, totals.decisions[decision]) for decision in DECISIONS),
        ("reasons", f"{why}; the worst of a clip decides" if why else "none"),
    ]
    share = totals.frames_dropped / totals.frames if totals.frames else 0.0
    return [*rows, ("need no label", f"{totals.frames_dropped} of {counted(totals.frames, 'frame')} ({share:.1%}), in dropped clips")]


def _run_text(outcome: ScreeningOutcome) -> str:
    not_cut = f", {outcome.not_cut} not cut yet" if outcome.not_cut else ""
    run = f"{counted(outcome.num_clips, 'clip')} in {counted(outcome.num_shards, 'shard')}"
    return f"{run}; {counted(outcome.already_done, 'shard')} done before{not_cut}"


def _cost_rows(outcome: ScreeningOutcome) -> list[tuple[str, object]]:
    if not outcome.video_s:
        return []
    per_hour = outcome.cpu_s / outcome.video_s
    return [("cost", f"{per_hour:.3f} CPU hours per hour of video ({outcome.cpu_s:.1f} s for {outcome.video_s:.1f} s)")]
