"""Clips and tracks in the formats of other trainers and benchmarks: `python jobs/export.py FORMAT --root ROOT --out DIR`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from jobs import options
from jobs.console import DONE, error_exit, print_summary, run_job, say_unexpected
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.exporting.job import ExportConfig, ExportOutcome, export, refused_by_kind
from pipeline.errors import ConfigError
from pipeline.export.alltracker import ALLTRACKER_TRAINERS, AllTrackerFormat
from pipeline.export.format import ExportFormat
from pipeline.export.kubric import KUBRIC_TRAINERS, KubricFormat, TrainerNeeds
from pipeline.export.tapip3d import VIDEO_LAYOUTS, Tapip3dFormat
from pipeline.export.tapvid import TapVidFormat
from pipeline.export.tapvid3d import TapVid3dFormat
from pipeline.export.world_track import TRACKED_SUBSETS, WorldTrackFormat

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_SHOWN = 5  # refused clips, and errors, that are printed

Out = Annotated[str, typer.Option(help="Folder or URL for the export: what the other tool is pointed at.")]
LabelSets = Annotated[list[str] | None, typer.Option("--labels", help="Label set; one per kind.", show_default="the clips' truth")]
Audit = Annotated[
    str | None,
    typer.Option(help="Audit to obey: clips that it keeps, tracks that have weight. It brings its label set.", show_default="none"),
]
MinWeight = Annotated[float, typer.Option(help="Least weight of a track (with --audit), besides being above 0.")]
EvaluationTruth = Annotated[bool, typer.Option("--evaluation-truth", help="Also export truth that is meant for evaluation.")]
TrainerFrames = Annotated[int | None, typer.Option(help="Frames of the trainer's samples.", show_default="by --trainer")]
TrainerPoints = Annotated[int | None, typer.Option(help="Tracks of the trainer's samples.", show_default="by --trainer")]
VideoLayout = Annotated[str, typer.Option(help="thwc: uint8, for TAPIP3D; tchw: float32 in [0, 1], for SpatialTrackerV2.")]
JpegQuality = Annotated[int, typer.Option(help="Quality of the JPEG files, 1 to 100.")]


@app.callback()
def formats() -> None:
    """Write clips and tracks for other tools. Run the same command again to continue where it stopped, or to add what is new."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """Options that all formats share."""

    root: str
    out: str
    labels: list[str] | None
    audit: str | None
    split: str | None
    limit: int | None
    executor: str
    clip_time_limit: float
    max_attempts: int
    max_error_rate: float
    dry_run: bool
    evaluation_truth: bool = True  # what a format for evaluation is for


@app.command(cls=options.command_of("--root /data/walks --audit AUDIT --out /data/kubric"))
def kubric(
    root: options.Root,
    out: Out,
    labels: LabelSets = None,
    audit: Audit = None,
    split: options.Split = None,
    limit: options.Limit = None,
    min_weight: MinWeight = 0.0,
    trainer: Annotated[str, typer.Option(help=f"Who will read it: {', '.join(KUBRIC_TRAINERS)}.")] = "cotracker3-offline",
    trainer_frames: TrainerFrames = None,
    trainer_points: TrainerPoints = None,
    evaluation_truth: EvaluationTruth = False,
    executor: options.Executor = "inline",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Kubric's layout as CoTracker's trainer reads it: SEQ/frames/*.png and SEQ/SEQ.npy. Clips that it would drop are left out."""
    asked = _Asked(
        root=root, out=out, labels=labels, audit=audit, split=split, limit=limit, executor=executor, clip_time_limit=clip_time_limit,
        max_attempts=max_attempts, max_error_rate=max_error_rate, dry_run=dry_run, evaluation_truth=evaluation_truth,
    )  # fmt: skip
    _run(asked, lambda: KubricFormat(needs=_needs(KUBRIC_TRAINERS, trainer, trainer_frames, trainer_points), min_weight=min_weight))


@app.command(cls=options.command_of("--root /data/walks --audit AUDIT --out /data/alltracker"))
def alltracker(
    root: options.Root,
    out: Out,
    labels: LabelSets = None,
    audit: Audit = None,
    split: options.Split = None,
    limit: options.Limit = None,
    min_weight: MinWeight = 0.0,
    trainer: Annotated[str, typer.Option(help=f"Who will read it: {', '.join(ALLTRACKER_TRAINERS)}.")] = "alltracker",
    trainer_frames: TrainerFrames = None,
    trainer_points: TrainerPoints = None,
    evaluation_truth: EvaluationTruth = False,
    executor: options.Executor = "inline",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """The same in AllTracker's spelling: GROUP/SEQ/frames/*.png and GROUP/SEQ/annot.npy, a group for each shard."""
    asked = _Asked(
        root=root, out=out, labels=labels, audit=audit, split=split, limit=limit, executor=executor, clip_time_limit=clip_time_limit,
        max_attempts=max_attempts, max_error_rate=max_error_rate, dry_run=dry_run, evaluation_truth=evaluation_truth,
    )  # fmt: skip
    _run(asked, lambda: AllTrackerFormat(needs=_needs(ALLTRACKER_TRAINERS, trainer, trainer_frames, trainer_points), min_weight=min_weight))


@app.command(cls=options.command_of("--root /data/studio --out /data/tapip3d"))
def tapip3d(
    root: options.Root,
    out: Out,
    labels: LabelSets = None,
    audit: Audit = None,
    split: options.Split = None,
    limit: options.Limit = None,
    min_weight: MinWeight = 0.0,
    video_layout: VideoLayout = VIDEO_LAYOUTS[0],
    executor: options.Executor = "inline",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Input of TAPIP3D and SpatialTrackerV2: KEY.npz of each clip with depth and cameras; video, depth, cameras, query points."""
    asked = _Asked(
        root=root, out=out, labels=labels, audit=audit, split=split, limit=limit, executor=executor, clip_time_limit=clip_time_limit,
        max_attempts=max_attempts, max_error_rate=max_error_rate, dry_run=dry_run,
    )  # fmt: skip
    _run(asked, lambda: Tapip3dFormat(video_layout=video_layout, min_weight=min_weight))


@app.command(cls=options.command_of("--root /data/walks --audit AUDIT --out /data/tapvid"))
def tapvid(
    root: options.Root,
    out: Out,
    labels: LabelSets = None,
    audit: Audit = None,
    split: options.Split = None,
    limit: options.Limit = None,
    min_weight: MinWeight = 0.0,
    executor: options.Executor = "inline",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """TAP-Vid's pickle, as of DAVIS: tapvid.pkl with the video, points and occlusion of every clip, and clips/KEY.pkl of each alone."""
    asked = _Asked(
        root=root, out=out, labels=labels, audit=audit, split=split, limit=limit, executor=executor, clip_time_limit=clip_time_limit,
        max_attempts=max_attempts, max_error_rate=max_error_rate, dry_run=dry_run,
    )  # fmt: skip
    _run(asked, lambda: TapVidFormat(min_weight=min_weight))


@app.command(cls=options.command_of("--root /data/studio --out /data/tapvid3d"))
def tapvid3d(
    root: options.Root,
    out: Out,
    labels: LabelSets = None,
    audit: Audit = None,
    split: options.Split = None,
    limit: options.Limit = None,
    min_weight: MinWeight = 0.0,
    jpeg_quality: JpegQuality = 95,
    executor: options.Executor = "inline",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """TAPVid-3D's files: KEY.npz of each clip whose tracks are known in space (converted and rendered datasets)."""
    asked = _Asked(
        root=root, out=out, labels=labels, audit=audit, split=split, limit=limit, executor=executor, clip_time_limit=clip_time_limit,
        max_attempts=max_attempts, max_error_rate=max_error_rate, dry_run=dry_run,
    )  # fmt: skip
    _run(asked, lambda: TapVid3dFormat(jpeg_quality=jpeg_quality, min_weight=min_weight))


@app.command(cls=options.command_of("--root /data/studio --out /data/worldtrack"))
def worldtrack(
    root: options.Root,
    out: Out,
    labels: LabelSets = None,
    audit: Audit = None,
    split: options.Split = None,
    limit: options.Limit = None,
    min_weight: MinWeight = 0.0,
    subset: Annotated[str, typer.Option(help=f"Folder of the clips, as the benchmark names it: {', '.join(TRACKED_SUBSETS)}.")] = "po_mini",
    jpeg_quality: JpegQuality = 95,
    executor: options.Executor = "inline",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Files of WorldTrack, St4RTrack's benchmark: SUBSET/KEY.npz of the first 64 frames of clips with true tracks in space, in metres."""
    asked = _Asked(
        root=root, out=out, labels=labels, audit=audit, split=split, limit=limit, executor=executor, clip_time_limit=clip_time_limit,
        max_attempts=max_attempts, max_error_rate=max_error_rate, dry_run=dry_run,
    )  # fmt: skip
    _run(asked, lambda: WorldTrackFormat(subset=subset, jpeg_quality=jpeg_quality, min_weight=min_weight))


def _run(asked: _Asked, make_format: Callable[[], ExportFormat]) -> None:
    def body() -> int:
        config = ExportConfig(
            root=asked.root,
            out=asked.out,
            format=make_format(),
            labels=tuple(asked.labels or ()),
            audit=asked.audit,
            split=asked.split,
            limit=asked.limit,
            evaluation_truth=asked.evaluation_truth,
            executor=Executor(name=asked.executor, limits=Limits(attempts=asked.max_attempts, part_s=asked.clip_time_limit)),
        )
        outcome = export(config, dry_run=asked.dry_run)
        print_summary("plan" if asked.dry_run else "export", summary_rows(outcome, config))
        for refusal in outcome.refused[:_SHOWN]:
            typer.echo(f"  refused: clip {refusal['key']}: {refusal['message']}", err=True)
        say_unexpected(outcome.errors)
        if asked.dry_run:
            return DONE
        return error_exit(len(outcome.errors), outcome.num_clips, asked.max_error_rate, see=f"{asked.out}/export.*.json")

    run_job(body)


def summary_rows(outcome: ExportOutcome, config: ExportConfig) -> list[tuple[str, object]]:
    """Summary rows: what was exported and what was not, and why."""
    chosen = ", ".join(config.labels) or "the truth of the clips"
    labels = f"audit {config.audit}" if config.audit else chosen
    rows: list[tuple[str, object]] = [
        ("format", f"{config.format.name}, tracks of {labels}"),
        ("clips", f"{len(outcome.exported)} of {outcome.num_clips}, split {config.split or 'all'}"),
    ]
    if outcome.left_out:
        rows.append(("left out", ", ".join(f"{count} {reason}" for reason, count in outcome.left_out.items())))
    if outcome.refused:
        rows.append(("refused", ", ".join(f"{count} {kind}" for kind, count in refused_by_kind(outcome).items())))
    if outcome.num_waiting:
        rows.append(("not cut yet", f"{outcome.num_waiting} planned clips; run the job that makes {config.root} to its end"))
    if outcome.dry_run:
        return [*rows, ("written", "nothing: tracks, depth and cameras are looked at when the videos are read")]
    tracks = sum(int(clip["tracks"]) for clip in outcome.exported)
    rows.append(("tracks", f"{tracks:,} in {sum(int(clip['frames']) for clip in outcome.exported):,} frames"))
    rows.append(("licences", ", ".join(f"{count} {license}" for license, count in outcome.licenses.items())))
    rows.append(("errors", len(outcome.errors)))
    rows.append(("written", outcome.file or config.out))
    return rows


def _needs(trainers: Mapping[str, TrainerNeeds], trainer: str, frames: int | None, points: int | None) -> TrainerNeeds:
    """Needs of the trainer of this name, some of them given otherwise."""
    if trainer not in trainers:
        raise ConfigError(f"--trainer is {trainer!r}, expected one of {', '.join(trainers)}")
    needs = trainers[trainer]
    return replace(needs, frames=needs.frames if frames is None else frames, points=needs.points if points is None else points)


if __name__ == "__main__":
    app()
