"""Videos to audited tracks in one go: `trackmill run VIDEOS --root ROOT`, or `python jobs/run.py VIDEOS --root ROOT`."""

from typing import Annotated

import typer

from jobs import options
from jobs.console import DONE, print_summary, run_job
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.next_commands import LABELER
from jobs.pseudolabel import parse_options
from jobs.running.chain import RunConfig, check_labeler, run_jobs
from jobs.running.report import report_run
from jobs.shard import summary_rows
from jobs.sharding.job import make_shards
from labelers import LABELERS, QueryPolicy
from labelers.queries import Policy
from pipeline.audit.verdict import ScreenRules
from pipeline.manifest import ManifestOptions
from pipeline.records.labels import QUERY_FRAMES
from pipeline.shards.dataset import shard_size
from pipeline.shards.policy import ClipPolicy

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_CUT, _ASKED = ClipPolicy(), QueryPolicy()
_CLIPS, _LABELS = "Clips", "Labels"


@app.command(
    "run",
    cls=options.command_of("~/videos --root /data/walks", "~/videos --root /data/walks --queries 512 --query-frames 4"),
)
def run_command(
    videos: Annotated[list[str], typer.Argument(metavar="VIDEOS...", help="Videos, folders, globs or tables.")],
    root: options.NewRoot,
    out: Annotated[
        str | None, typer.Option(help="FILE.webp, .jpg or .png: the contact sheet.", show_default="beside the audit's report")
    ] = None,
    clip_frames: Annotated[int, typer.Option(help="Frames per clip.", rich_help_panel=_CLIPS)] = _CUT.clip_frames,
    scene_cuts: Annotated[
        bool, typer.Option("--scene-cuts", help="Split where the picture cuts to another scene.", rich_help_panel=_CLIPS)
    ] = _CUT.scene_cuts,
    allow_static: Annotated[
        bool, typer.Option("--allow-static", help="Keep clips in which nothing moves.", rich_help_panel=_CLIPS)
    ] = False,
    license: Annotated[
        str | None, typer.Option(help="Licence of every source that names none.", show_default="unknown", rich_help_panel=_CLIPS)
    ] = None,
    limit: options.Limit = None,
    labeler: Annotated[
        str, typer.Option(help=f"{', '.join(LABELERS)}, or module:factory of your own.", rich_help_panel=_LABELS)
    ] = LABELER,
    queries: Annotated[int, typer.Option(help="Points followed per clip.", rich_help_panel=_LABELS)] = _ASKED.num_queries,
    query_policy: Annotated[Policy, typer.Option(help="Where points are asked.", rich_help_panel=_LABELS)] = _ASKED.policy,
    query_frames: Annotated[
        int, typer.Option(help="Frames that queries start on, spread evenly.", rich_help_panel=_LABELS)
    ] = QUERY_FRAMES,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="The labeler's weights, if it has any: a path, or hf://OWNER/MODEL/FILE.", show_default="none", rich_help_panel=_LABELS
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="NAME=VALUE",
            help="Option of the labeler; repeat it.",
            show_default="the labeler's own",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    cycle: Annotated[
        bool, typer.Option("--cycle", help="Follow every track back too, for the audit. Twice the work.", rich_help_panel=_LABELS)
    ] = False,
    executor: options.Executor = "ray",
    num_workers: options.NumWorkers = None,
    num_gpus_per_worker: options.NumGpusPerWorker = 0.0,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Cut videos into clips, screen and label them, audit the labels, draw a contact sheet; say what was found and what to do next.

    The same command again goes on where it was stopped; with more videos it adds them. Exit code 4 where the tracks should not be
    trained on. Every step is a job of its own with more options: shard, screen, label, audit, show.
    """

    def body() -> int:
        config = RunConfig(
            inputs=tuple(videos),
            root=root,
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            policy=ClipPolicy(clip_frames=clip_frames, scene_cuts=scene_cuts, limit=limit, clips_per_shard=shard_size(root)),
            manifest=ManifestOptions(license=license),
            rules=ScreenRules(allow_static=allow_static),
            labeler=labeler,
            labeler_options={**parse_options(option or []), **({"checkpoint": checkpoint} if checkpoint else {})},
            queries=QueryPolicy(policy=query_policy, num_queries=queries, num_query_frames=query_frames),
            cycle=cycle,
            num_workers=num_workers,
            num_gpus_per_worker=num_gpus_per_worker,
            sheet=out,
        )
        if dry_run:
            return report_plan(config)
        return report_run(run_jobs(config, tell=lambda line: typer.echo(line, err=True)), config, max_error_rate)

    run_job(body)


def report_plan(config: RunConfig) -> int:
    """Print what would be cut, after the labeler's options were checked; the other steps depend on what is cut."""
    labeler = check_labeler(config)
    cut = make_shards(config.sharding, dry_run=True)
    rows = [*summary_rows(config.root, cut), ("then", f"screen, label by {labeler}, audit, contact sheet")]
    print_summary("plan", rows)
    return DONE


if __name__ == "__main__":
    app()
