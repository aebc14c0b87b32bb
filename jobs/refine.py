"""Refine camera poses by tracks and depth: `python jobs/refine.py --root ROOT --labels TRACKS --labels DEPTH [--labels CAMERAS]`."""

from typing import Annotated

import typer

from jobs import options
from jobs.console import counted, error_exit, print_summary, run_job, say_unexpected
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.next_commands import after_refinement
from jobs.refining.inputs import StaticName
from jobs.refining.job import RefiningConfig, RefiningOutcome, refine_dataset
from trainer.geometry.pose_refinement import RefinementSettings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_Static = Annotated[
    StaticName,
    typer.Option(
        help="Which tracks count. audit: those that it finds static; not-moving: also those of which it does not know; mask: those off the"
        " clip's dynamic_mask; displacement: those that the start poses keep in place; off: all."
    ),
]
_Audit = Annotated[
    str | None,
    typer.Option(
        help="Audit of the tracks: clips that it keeps, and the weights of tracks.",
        show_default="with --static audit or not-moving, theirs",
    ),
]
_NumWorkers = Annotated[
    int | None, typer.Option(help="Refiners at work.", show_default="as many as CPUs allow", rich_help_panel=options.RAY)
]


@app.command(
    cls=options.command_of(
        "--root /data/walks --labels dis-flow-1a2b3c4d --labels pi3-depth-1a2b3c4d",
        "--root /data/walks --labels dis-flow-1a2b3c4d --labels pi3-depth-1a2b3c4d --labels refine-1a2b3c4d --static mask",
    )
)
def refine(
    root: options.Root,
    labels: Annotated[
        list[str],
        typer.Option("--labels", help="Label set; one of tracks, one of depth, and one of cameras unless the clips have their own."),
    ],
    audit: _Audit = None,
    static: _Static = "audit",
    static_share: Annotated[float, typer.Option(help="Share of its depth that a static point may be displaced by (displacement).")] = 0.05,
    fewest_tracks: Annotated[int, typer.Option(help="Static tracks that two frames must share to hold each other.")] = 12,
    window: Annotated[int, typer.Option(help="Frames that are refined by themselves before all are together.")] = 24,
    overlap: Annotated[int, typer.Option(help="Frames that neighbouring windows share.")] = 8,
    huber_px: Annotated[float, typer.Option(help="Error in pixels of the stored clip, from which on it counts linearly.")] = 1.5,
    frame_scales: Annotated[bool, typer.Option("--frame-scales", help="Also fit a factor of each frame's depth.")] = False,
    iterations: Annotated[int, typer.Option(help="Steps of Levenberg and Marquardt, at most.")] = 50,
    executor: options.Executor = "ray",
    num_workers: _NumWorkers = None,
    num_cpus_per_worker: options.NumCpusPerWorker = 1.0,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be refined, and the label set's name.")] = False,
) -> None:  # fmt: skip
    """Refine poses so that static tracks, lifted by depth, project to where they are seen. The last line is the new set's name."""

    def body() -> int:
        config = RefiningConfig(
            root=root,
            labels=tuple(labels),
            refinement=RefinementSettings(
                huber_px=huber_px, window=window, overlap=overlap, frame_scales=frame_scales, fewest_tracks=fewest_tracks,
                iterations=iterations,
            ),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            static=static,
            static_share=static_share,
            audit=audit,
            num_workers=num_workers,
            num_cpus_per_worker=num_cpus_per_worker,
        )  # fmt: skip
        outcome = refine_dataset(config, dry_run=dry_run)
        sets = outcome.sets
        following = after_refinement(
            root, sets.tracks, sets.depth, outcome.label_set, audit=sets.audit, metric=outcome.metric_depth and outcome.totals.ok > 0
        )
        print_summary("cameras", summary_rows(outcome), next_commands=following)
        say_unexpected(outcome.unexpected)
        code = error_exit(outcome.totals.failed + outcome.totals.quarantined, outcome.num_clips, max_error_rate)
        typer.echo(outcome.label_set)
        return code

    run_job(body)


def summary_rows(outcome: RefiningOutcome) -> list[tuple[str, object]]:
    """Rows of the summary."""
    totals = outcome.totals
    run = f"{counted(outcome.num_clips, 'clip')} in {counted(outcome.num_shards, 'shard')}"
    rows: list[tuple[str, object]] = [
        ("label set", outcome.label_set),
        ("this run", f"{run}; {counted(outcome.already_done, 'shard')} refined before"),
    ]
    if outcome.not_ready:
        missing = "cut, labelled and audited" if outcome.sets.audit else "cut and labelled"
        rows.append(("left out", f"{counted(outcome.not_ready, 'planned shard')} not {missing} yet: finish that and run this again"))
    if outcome.elapsed_s:
        rows += [
            ("clips", f"{totals.ok} with cameras; failed {totals.failed}, quarantined {totals.quarantined}, left out {totals.screened}"),
            ("speed", f"{totals.values / outcome.elapsed_s:,.0f} poses per second"),
        ]
    if totals.degraded:
        rows.append(("not refined", f"{counted(totals.degraded, 'clip')}, in part or whole; `notes` of the rows say why"))
    if outcome.error_px is not None:
        rows.append(("reprojection", f"{outcome.error_px:.2f} px at the median over their frames"))
    return rows


if __name__ == "__main__":
    app()
