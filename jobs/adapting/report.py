"""Summary of an adaptation: what was learned from, losses at the beginning and at the end, results, and what to do next."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from jobs.adapting.config import AdaptConfig, kept_weights, moves_no_reconstruction
from jobs.adapting.job import Adapted, AdaptOutcome
from jobs.auditing.run_report import gate_exit
from jobs.console import DONE, GATE_CLOSED, counted, print_summary
from jobs.next_commands import after_adaptation
from jobs.running.report import cutting_exit, report_run, say_errors
from jobs.running.root_status import AuditProgress
from jobs.training import training_exit
from pipeline.audit.verdict import DECISIONS
from trainer.loop import read_journal

_ENDS = 0.1  # of the steps, whose losses are averaged at either end


def report_adaptation(outcome: AdaptOutcome, config: AdaptConfig, max_error_rate: float) -> int:
    """Print what came of it, and give the exit code: 3 without clips, or with too many errors; 4 if the gate says no; 1 for a training
    that lost most of its steps.
    """
    adapted, audit = outcome.adapted, outcome.audit
    if adapted is None or audit is None:
        return _report_end(outcome, config, max_error_rate)
    rows = [
        ("root", config.run.root),
        ("clips", _clips_text(audit)),
        *([] if outcome.judged is None else [("report", outcome.judged.audited.report), ("contact sheet", outcome.judged.sheet)]),
        ("depth", _depth_text(adapted)),
        ("adapted", _training_text(adapted, config)),
        *loss_rows(read_journal(config.out)),
        ("licence", adapted.license or "the weights state none"),
        ("weights", adapted.trained.weights),
        *(_inferred_rows(adapted) if config.infer_videos else []),
        ("time", f"{outcome.elapsed_s:.0f} s"),
    ]
    kept = kept_weights(config, adapted.stage)
    following = after_adaptation(config.run.root, audit.audit.name, adapted.trained.weights, config.out, kept)
    if outcome.run is not None:
        say_errors(outcome.run)
    print_summary("adapted", rows, next_commands=following)
    lost = DONE if outcome.run is None else cutting_exit(outcome.run.cut, max_error_rate)
    return training_exit(adapted.trained) or lost


def _report_end(outcome: AdaptOutcome, config: AdaptConfig, max_error_rate: float) -> int:
    """The summary of what ended before the training."""
    if outcome.run is not None:
        return report_run(outcome.run, config.run, max_error_rate)
    assert outcome.audit is not None, "without a run there is an audit"
    print_summary("audit", [("root", config.run.root), ("clips", _clips_text(outcome.audit))])
    if outcome.judged is not None:
        return gate_exit(outcome.judged.gate)
    typer.echo(
        f"error: the gate does not let the tracks of audit {outcome.audit.audit.name} pass: read its report before you adapt to them"
        " (--no-gate leaves that to you)",
        err=True,
    )
    return GATE_CLOSED


def loss_rows(journal: Sequence[Mapping[str, Any]]) -> list[tuple[str, object]]:
    """Each term's mean over the first and over the last tenth of the steps, and the frames whose camera was not found."""
    if not journal:
        return []
    span = max(1, round(len(journal) * _ENDS))
    ends = journal[:span], journal[-span:]
    rows: list[tuple[str, object]] = [("loss", f"{_ends_text(*ends, of='loss')}, means of {counted(span, 'step')}")]
    for name in sorted({name for row in journal for name in row["terms"]}):
        group, _, term = name.partition("/")
        if group == "adaptation" and term not in ("zoom", "failed_poses"):
            rows.append((f"  {term}", _ends_text(*ends, of=name)))
    lost = [row["terms"].get("adaptation/failed_poses") for row in journal]
    found = [value for value in lost if value is not None]
    if any(found):
        rows.append(("cameras", f"not found for {sum(found) / len(found):.1%} of the frames that were learned from"))
    return rows


def _ends_text(first: Sequence[Mapping[str, Any]], last: Sequence[Mapping[str, Any]], *, of: str) -> str:
    means = [_mean([row["loss"] if of == "loss" else row["terms"].get(of) for row in rows]) for rows in (first, last)]
    return " -> ".join("none" if mean is None else f"{mean:.4g}" for mean in means)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _clips_text(audit: AuditProgress) -> str:
    decisions = ", ".join(f"{decision} {audit.decisions[decision]}" for decision in DECISIONS if audit.decisions.get(decision))
    mean = f", mean weight {audit.weight_sum / audit.num_tracks:.3f} of {audit.num_tracks:,} tracks" if audit.num_tracks else ""
    return f"{decisions or 'none'} (audit {audit.audit.name}){mean}"


def _depth_text(adapted: Adapted) -> str:
    if adapted.depth is None and moves_no_reconstruction(adapted.stage):
        return "none: the reconstruction is held, and a depth term would move nothing (--adapt all needs --depth-labeler)"
    if adapted.depth is None:
        return "none, as the configuration says"
    failed = f"; {counted(adapted.depth_failed, 'clip')} without, which were not learned from" if adapted.depth_failed else ""
    return f"{adapted.depth}{failed}"


def _training_text(adapted: Adapted, config: AdaptConfig) -> str:
    trained = adapted.trained
    resumed = "" if trained.resumed_from is None else f", resumed from {trained.resumed_from}"
    lost = trained.num_guarded + trained.num_skipped
    wrong = f"; {counted(lost, 'step')} lost" if lost else ""
    return f"{config.checkpoint}, {counted(trained.steps, 'step')}{resumed}{wrong}"


def _inferred_rows(adapted: Adapted) -> list[tuple[str, object]]:
    if not adapted.num_videos:
        return [("inferred", "nothing: the clips of this root were not cut from videos; the command below takes any")]
    rows: list[tuple[str, object]] = []
    for video in adapted.inferred:
        lost = f"; {counted(video.cameras_not_found, 'camera')} not found, see inference.json" if video.cameras_not_found else ""
        lost += "" if video.fits_cameras else "; no camera sees all of such points: the network is untrained or failed"
        again = ", done before" if video.before else ""
        rows.append(("inferred", f"{video.folder}: {counted(video.num_frames, 'frame')}{again}{lost}"))
    if adapted.num_videos > len(adapted.inferred):
        left = adapted.num_videos - len(adapted.inferred)
        rows.append(("not inferred", f"{left} of {adapted.num_videos} videos; --infer-videos N does more"))
    return rows
