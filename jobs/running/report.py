"""Summary of a run: what was found, the commonest reason why clips are lost, with its remedy, and what to do next."""

from collections.abc import Mapping
from typing import Any

import typer

from jobs.auditing.run_report import gate_exit, worst_clip
from jobs.auditing.screen_job import ScreenTotals
from jobs.console import TOO_MANY_ERRORS, counted, error_exit, print_summary, say_unexpected
from jobs.next_commands import after_audit, stream_lines
from jobs.running.chain import JudgedClips, RunConfig, RunOutcome
from jobs.sharding.job import ShardingOutcome
from pipeline.audit.report.wording import REASON_SENTENCES, reason_remedy
from pipeline.audit.summing.records import AuditSummary
from pipeline.audit.verdict import DECISIONS, REASONS

_STRONGER = "--labeler cotracker3-offline --checkpoint hf://facebook/cotracker3/scaled_offline.pth on a GPU follows points that flow loses"
REMEDIES: dict[str, str] = {  # reason -> what helps; options are those of `trackmill run`
    "dark": "too little light to follow anything: leave such videos out",
    "blank": "frames without a picture: leave these parts out by a table of start and end times",
    "credits": "leave the credits out by a table of start and end times",
    "static": "--allow-static keeps clips in which nothing moves",
    "cut_inside": "--scene-cuts, into a new --root, begins a new clip where the picture cuts",
    "tombstoned": "it was asked to be forgotten",
    "screened": "see the screen's reasons",
    "few_tracks": "--queries N follows more points, --query-frames N begins them on more frames",
    "letterbox": "cut the bars off before sharding, for example by ffmpeg's filters cropdetect and crop",
    "duplicate_frames": "the video repeats frames, as after a change of frame rate: take the original",
    "fast_pan": "the camera turns too fast for tracks: such clips are better left out",
    "bad_tracks": _STRONGER,
    "low_survival": _STRONGER,
    "collapsed_tracks": _STRONGER,
    "flicker": _STRONGER,
    "deaths_at_once": "tracks end together as at a cut: --scene-cuts, into a new --root, begins a new clip there",
    "low_coverage": "--query-frames N begins points on more frames, so that what comes into view is followed too",
    "overlay_tracks": "points stick to a logo or subtitle: take a source without, or cut that part of the picture off",
    "label_failed": "errors/labels below the root says why; the same command tries again what nobody foresaw",
    "label_quarantined": "the clip stopped its labeler: give workers more memory, or raise --clip-time-limit",
    "not_cut": "errors/shards below the root says why",
    "unreadable": "bring the shard back from a copy, or delete its two files and run the same command again",
    "contract": "the labels hold what must not be: a fault of the labeler, to be reported to whoever made it",
}


def report_run(outcome: RunOutcome, config: RunConfig, max_error_rate: float) -> int:
    """Print what a run found, and give its exit code: the gate's if it says no, else that of sources and clips in error."""
    cut, judged = outcome.cut, outcome.judged
    say_errors(outcome)
    lost = cutting_exit(cut, max_error_rate)
    if judged is None:
        print_summary("run", [("root", config.root), ("clips", _cut_text(outcome)), ("time", f"{outcome.elapsed_s:.0f} s")])
        typer.echo("error: no clip could be cut; the reasons are above, and in errors/ below the root", err=True)
        return TOO_MANY_ERRORS
    audit, passes = judged.audited.plan.audit.name, judged.gate.passes
    following = after_audit(config.root, audit, passes=passes, worst=worst_clip(judged.summary))
    print_summary("run", _rows(outcome, judged, config.root), next_commands=following)
    if passes:
        typer.echo("in Python:")
        for line in stream_lines(config.root, audit):
            typer.echo(f"  {line}")
    return gate_exit(judged.gate) or lost


def say_errors(outcome: RunOutcome) -> None:
    """Say on standard error what went wrong with sources and clips."""
    for row in outcome.cut.first_errors:
        typer.echo(f"  {row.stage}: {row.message}", err=True)
    say_unexpected([*outcome.cut.unexpected, *(outcome.judged.audited.unexpected if outcome.judged else ())])


def cutting_exit(cut: ShardingOutcome, max_error_rate: float) -> int:
    """TOO_MANY_ERRORS, said on standard error, if a larger share of sources and clips went wrong, else DONE."""
    return error_exit(cut.num_errors, cut.plan.clips - cut.failed_clips + cut.num_errors, max_error_rate)


def _rows(outcome: RunOutcome, judged: JudgedClips, root: str) -> list[tuple[str, object]]:
    summary, weights = judged.summary, judged.audited.plan.audit.weights
    tracks = max(summary.num_tracks, 1)
    return [
        ("root", root),
        ("clips", _cut_text(outcome)),
        ("screen", _screen_text(judged.screened.totals)),
        ("label set", judged.label_set),
        ("audit", ", ".join(f"{decision} {summary.decisions[decision]}" for decision in DECISIONS if summary.decisions[decision])),
        ("mean weight", f"{summary.weight_sum / tracks:.3f} of {summary.num_tracks:,} tracks ({weights})"),
        *_worst_reason(summary, judged.audited.plan.label_set.queries),
        ("report", judged.audited.report),
        ("contact sheet", judged.sheet),
        ("time", f"{outcome.elapsed_s:.0f} s"),
    ]


def _cut_text(outcome: RunOutcome) -> str:
    cut = outcome.cut
    errors = f"; {counted(cut.num_errors, 'error')}, see errors/ below the root" if cut.num_errors else ""
    return f"{cut.plan.clips - cut.failed_clips} cut from {counted(cut.plan.sources, 'video')}{errors}"


def _screen_text(totals: ScreenTotals) -> str:
    dropping = {reason: count for reason, count in totals.reasons.items() if REASONS[reason] == "drop"}
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(dropping.items(), key=lambda item: (-item[1], item[0])))
    return f"drops {totals.decisions['drop']} of {counted(totals.clips, 'clip')}" + (f": {why}" if why else "")


def _worst_reason(summary: AuditSummary, queries: Mapping[str, Any]) -> list[tuple[str, object]]:
    """The reason that costs most clips, with its remedy; among equals the gravest.

    Args:
        queries: the query policy that the label set records, by which some remedies are chosen.
    """
    worst = commonest_reason(summary)
    if worst is None:
        return []
    lost = counted(summary.reasons[worst], "clip")
    return [("worst reason", f"{worst}, {lost}: {REASON_SENTENCES[worst]}"), ("remedy", reason_remedy(worst, queries) or REMEDIES[worst])]


def commonest_reason(summary: AuditSummary) -> str | None:
    """The reason that keeps most clips out of training; None if all are kept. The screen's reasons count by themselves."""
    costly = [reason for reason in summary.reasons if REASONS[reason] != "keep" and reason != "screened"]
    return max(costly, key=lambda reason: (summary.reasons[reason], DECISIONS.index(REASONS[reason]), reason), default=None)
