"""Trust in clips and labels: `python jobs/audit.py screen --root ROOT`."""

from typing import Annotated, Literal

import typer

from jobs import options
from jobs.auditing.compare_job import ComparingConfig, compare_dataset
from jobs.auditing.compare_report import comparison_document, report_comparison
from jobs.auditing.run_job import audit_labels
from jobs.auditing.run_plan import AuditingConfig
from jobs.auditing.run_report import report_audit
from jobs.auditing.screen_job import ScreeningConfig, screen_dataset
from jobs.auditing.screen_report import report_plan, report_screen
from jobs.console import run_job
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from pipeline import storage
from pipeline.audit.verdict import ScreenRules
from pipeline.tables import write_document

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

CycleName = Literal["stored", "retrack", "none"]


@app.callback()
def audit() -> None:
    """Judge clips and labels. Verdicts are tables beside the data; nothing is deleted."""


@app.command("screen", cls=options.command_of("--root /data/walks", "--root /data/tripods --allow-static"))
def screen_command(
    root: options.Root,
    allow_static: Annotated[bool, typer.Option("--allow-static", help="Keep clips in which nothing moves.")] = False,
    executor: options.Executor = "ray",
    max_error_rate: options.MaxErrorRate = 0.05,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Judge every clip by its picture alone, before any label is paid for. Run it again to continue where it stopped."""

    def body() -> int:
        config = ScreeningConfig(
            root=root,
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            rules=ScreenRules(allow_static=allow_static),
        )
        outcome = screen_dataset(config, dry_run=dry_run)
        return report_plan(outcome, root) if dry_run else report_screen(outcome, root, max_error_rate)

    run_job(body)


@app.command(
    "run",
    cls=options.command_of("--root /data/walks --labels LABELSET", "--root /data/walks --labels LABELSET --baseline AUDIT"),
)
def run_command(
    root: options.Root,
    labels: Annotated[str, typer.Option(help="Label set to judge: the last line of jobs/pseudolabel.py.")],
    name: Annotated[str | None, typer.Option(help="Name of the audit.", show_default="the label set's")] = None,
    calibration: Annotated[str, typer.Option(help="auto: the one shipped for these labels, if any; none; or a file.")] = "auto",
    cycle: Annotated[
        CycleName | None,
        typer.Option(help="Cycle error of each track: stored; or retrack: the labeler again.", show_default="stored, if it is"),
    ] = None,
    checkpoint: Annotated[str | None, typer.Option(help="The labeler's weights, for --cycle retrack.", show_default="none")] = None,
    second: Annotated[str | None, typer.Option(help="Another label set, for a second opinion.", show_default="none")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Audit (or summary.json) that was accepted: it must not get worse.", show_default="none"),
    ] = None,
    executor: options.Executor = "ray",
    max_error_rate: Annotated[float, typer.Option(help="With --no-gate: exit with 3 if a larger share (0 to 1) of clips fails.")] = 0.05,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Judge, but do not exit with 4.")] = False,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Judge every labelled clip and track, sum up, write the report. Exit code 4 where the labels should not be trained on."""

    def body() -> int:
        config = AuditingConfig(
            root=root,
            label_set=labels,
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            name=name,
            calibration=calibration,
            cycle=cycle,
            checkpoint=checkpoint,
            second=second,
            baseline=baseline,
        )
        return report_audit(audit_labels(config, dry_run=dry_run), root, max_error_rate, gated=not no_gate)

    run_job(body)


@app.command("compare", cls=options.command_of("AUDIT OTHER_AUDIT --root /data/walks", "AUDIT OTHER_AUDIT --root /data/walks --verbose"))
def compare_command(
    first: Annotated[str, typer.Argument(help="Name of the audit that was accepted.")],
    second: Annotated[str, typer.Argument(help="Name of the audit that is to take its place; of the same root.")],
    root: options.Root,
    out: Annotated[str | None, typer.Option(help="Folder or URL for comparison.json.", show_default="nothing is written")] = None,
    canary: Annotated[int, typer.Option(help="Clips whose labels are compared track by track.")] = 32,
    executor: options.Executor = "ray",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every measure, not only those that moved most.")] = False,
) -> None:  # fmt: skip
    """Compare one audit with another: drift of every measure, and canary clips. Exit code 4 where the change is too large."""

    def body() -> int:
        limits = Limits(attempts=max_attempts, part_s=clip_time_limit)
        config = ComparingConfig(
            root=root, first=first, second=second, executor=Executor(name=executor, limits=limits), num_canaries=canary
        )
        comparison = compare_dataset(config)
        if out is not None:
            write_document(storage.join(storage.absolute(out), "comparison.json"), comparison_document(comparison), "audit_comparison")
        return report_comparison(comparison, root, out, verbose=verbose)

    run_job(body)


@app.command(
    "calibrate",
    cls=options.command_of("--root /data/wild1 --held-out /data/wild2 --labels LABELSET --out calibration.json"),
)
def calibrate_command(
    root: Annotated[list[str], typer.Option(help="Audited dataset with true tracks to fit on; repeat it.")],
    labels: Annotated[str, typer.Option(help="Name of the audit below each root: the label set's, unless it was given another.")],
    held_out: Annotated[list[str], typer.Option(help="Audited dataset with true tracks to test on; repeat it.")],
    out: Annotated[str, typer.Option(help="The record's file, .json: for jobs/audit.py run --calibration.")],
) -> None:  # fmt: skip
    """Fit the probability that a track is bad where the truth is known, and test it on other clips."""

    def body() -> int:
        from jobs.auditing.calibrate_job import CalibratingConfig, calibrate_labels  # loads an optimiser that the others do without
        from jobs.auditing.calibrate_report import report_calibration

        config = CalibratingConfig(audit=labels, fit_roots=tuple(root), held_out_roots=tuple(held_out), out=out)
        return report_calibration(calibrate_labels(config), out)

    run_job(body)


if __name__ == "__main__":
    app()
