"""A model adapted to videos in one go: `trackmill adapt VIDEO --root ROOT --checkpoint FILE`, or `python jobs/adapt.py …`."""

from typing import Annotated

import typer

from jobs import options
from jobs.adapting.config import STAGE, AdaptConfig, AdaptName, DepthChoice
from jobs.adapting.job import adapt, plan_adaptation
from jobs.adapting.report import report_adaptation
from jobs.console import DONE, counted, print_summary, run_job
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.next_commands import LABELER
from jobs.pseudolabel import parse_options
from jobs.running.chain import RunConfig
from jobs.shard import summary_rows
from jobs.sharding.job import make_shards
from labelers import LABELERS, QueryPolicy
from pipeline.audit.verdict import ScreenRules
from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions
from pipeline.records.labels import QUERY_FRAMES
from pipeline.shards.dataset import shard_size
from pipeline.shards.policy import ClipPolicy

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
QUERIES = 1024  # the public script draws a grid of 24 x 24 to 40 x 40 points
_CUT = ClipPolicy()
_CLIPS, _LABELS, _TRAINING, _RESULTS = "Clips", "Labels", "Training", "Results"


@app.command(
    "adapt",
    cls=options.command_of(
        "walk.mp4 --root /data/walk --checkpoint hf://yupengchengg147/St4RTrack/model.safetensors",
        "walk.mp4 --root /data/walk --checkpoint st4rtrack.safetensors --adapt all --depth-labeler transformers-depth"
        " --depth-checkpoint depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf",
        "--root /data/walks --audit dis-flow-1a2b3c4d --checkpoint st4rtrack.safetensors --steps 500",
    ),
)
def adapt_command(
    root: options.NewRoot,
    checkpoint: Annotated[
        str, typer.Option(help="Weights to adapt, of St4RTrack, DUSt3R or MASt3R: a path, hf://OWNER/MODEL/FILE, or a file of ours.")
    ],
    videos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VIDEOS...", help="Video, folder, glob or table; one video: weights of its own.", show_default="clips that ROOT holds"
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Folder of checkpoints, losses and results.", show_default="ROOT-adapted", rich_help_panel=_RESULTS)
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
        str, typer.Option(help=f"Of tracks: {', '.join(LABELERS)}, or module:factory of your own.", rich_help_panel=_LABELS)
    ] = LABELER,
    labeler_checkpoint: Annotated[
        str | None, typer.Option(help="Weights of the tracks' labeler, if it has any.", show_default="none", rich_help_panel=_LABELS)
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="NAME=VALUE",
            help="Option of the tracks' labeler; repeat it.",
            show_default="the labeler's own",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    queries: Annotated[int, typer.Option(help="Points followed per clip.", rich_help_panel=_LABELS)] = QUERIES,
    query_frames: Annotated[
        int, typer.Option(help="Frames that queries start on, spread evenly: windows of training begin there.", rich_help_panel=_LABELS)
    ] = QUERY_FRAMES,
    audit: Annotated[
        str | None, typer.Option(help="Audit that ROOT has: no tracks are made.", show_default="made", rich_help_panel=_LABELS)
    ] = None,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="Adapt to what the audit keeps even where its gate says no.", rich_help_panel=_LABELS)
    ] = False,
    depth_labeler: Annotated[
        str | None,
        typer.Option(
            help="Of depth: transformers-depth, pi3-depth, or module:factory of your own. Needed for --adapt all.",
            show_default="none",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    depth_checkpoint: Annotated[
        str | None, typer.Option(help="Weights of the depth labeler.", show_default="none", rich_help_panel=_LABELS)
    ] = None,
    depth_option: Annotated[
        list[str] | None,
        typer.Option(
            "--depth-option",
            metavar="NAME=VALUE",
            help="Option of the depth labeler; repeat it.",
            show_default="the labeler's own",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    depth_labels: Annotated[
        str | None, typer.Option(help="Depth label set that ROOT has: none is made.", show_default="none", rich_help_panel=_LABELS)
    ] = None,
    adapt_what: Annotated[
        AdaptName | None,
        typer.Option(
            "--adapt",
            help="tracking: the reconstruction stays as it is; all: everything but the encoder adapts.",
            show_default="as the configuration says; tracking",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of training.", show_default="as the configuration says; 1312", rich_help_panel=_TRAINING)
    ] = None,
    config: Annotated[
        str, typer.Option(help="Stage of training; a YAML file of yours is taken as it is.", rich_help_panel=_TRAINING)
    ] = STAGE,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME.NAME=VALUE",
            help="Change a value of the stage; repeat it.",
            show_default="none",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    device: options.Device = "auto",
    infer_videos: Annotated[
        int, typer.Option(help="Infer at most this many of the videos, those named first; 0: none.", rich_help_panel=_RESULTS)
    ] = 4,
    infer_frames: Annotated[
        int | None, typer.Option(help="At most this many frames of each, from its beginning.", show_default="all", rich_help_panel=_RESULTS)
    ] = None,
    executor: options.Executor = "ray",
    num_workers: options.NumWorkers = None,
    num_gpus_per_worker: options.NumGpusPerWorker = 0.0,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Adapt St4RTrack to videos: cut, screen, track, audit, label depth, train, infer; say what was found and where it lies.

    One VIDEO in a root of its own gives weights for that video (test-time adaptation); several, or a root that is there, give one set of
    weights for all of them. The same command again goes on where it was stopped. Exit code 4 where the tracks should not be trained on.
    Every step is a job of its own with more options: run, label, train, infer.
    """

    def body() -> int:
        asked = AdaptConfig(
            run=RunConfig(
                inputs=tuple(videos or ()),
                root=root,
                executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
                policy=ClipPolicy(clip_frames=clip_frames, scene_cuts=scene_cuts, limit=limit, clips_per_shard=shard_size(root)),
                manifest=ManifestOptions(license=license),
                rules=ScreenRules(allow_static=allow_static),
                labeler=labeler,
                labeler_options=_with_weights(option, labeler_checkpoint),
                queries=QueryPolicy(num_queries=queries, num_query_frames=query_frames),
                num_workers=num_workers,
                num_gpus_per_worker=num_gpus_per_worker,
            ),
            checkpoint=checkpoint,
            out=out or f"{root.rstrip('/')}-adapted",
            stage=config,
            changes=tuple(change or ()),
            steps=steps,
            adapt=adapt_what,
            depth=DepthChoice(labeler=depth_labeler, options=_with_weights(depth_option, depth_checkpoint), label_set=depth_labels),
            audit=audit,
            gated=not no_gate,
            device=device,
            infer_videos=infer_videos,
            infer_frames=infer_frames,
        )
        if dry_run:
            return report_plan(asked)
        return report_adaptation(adapt(asked, tell=lambda line: typer.echo(line, err=True)), asked, max_error_rate)

    run_job(body)


def _with_weights(option: list[str] | None, checkpoint: str | None) -> dict[str, object]:
    """Options of a labeler."""
    given = parse_options(option or [])
    if checkpoint is not None and "checkpoint" in given:
        raise ConfigError(f"a labeler's weights are given twice: {given['checkpoint']} and {checkpoint}")
    return {**given, **({} if checkpoint is None else {"checkpoint": checkpoint})}


def report_plan(config: AdaptConfig) -> int:
    """Print what would be cut and trained, once weights, labelers and stage were tried; nothing is labelled."""
    stage, license = plan_adaptation(config)
    rows = summary_rows(config.run.root, make_shards(config.run.sharding, dry_run=True)) if config.run.inputs else []
    shape = stage.data.shape
    labels = f"audit {config.audit}" if config.audit else f"tracks by {config.run.labeler}, audited"
    depth = config.depth.labeler or config.depth.label_set
    rows += [
        ("labels", f"{labels}; depth: {depth or 'none'}"),
        ("adapt", f"{config.checkpoint}; licence {license or 'not stated'}"),
        ("train", f"{counted(stage.steps, 'step')} on windows of {shape.frames[0]} to {shape.frames[1]} frames, {stage.precision}"),
        ("infer", counted(config.infer_videos, "video") + " at most"),
        ("out", config.out),
    ]
    print_summary("plan", rows)
    return DONE


if __name__ == "__main__":
    app()
