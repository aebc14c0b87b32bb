"""Accuracy of labels and models where the truth is known.

`python jobs/evaluate.py labels --root ROOT --labels LABELSET`, `python jobs/evaluate.py model --root ROOT --checkpoint FILE`,
`python jobs/evaluate.py worldtrack --root ROOT --checkpoint FILE`, `python jobs/evaluate.py table N --checkpoint FILE --root NAME=PATH`.
"""

from typing import Annotated, Literal

import typer

from jobs import options
from jobs.console import counted, error_exit, print_summary, run_job, say_unexpected
from jobs.evaluating.frame_choice import FrameChoice
from jobs.evaluating.job import EvaluatingConfig, Evaluation, evaluate_labels, measured_kind
from jobs.evaluating.model_job import ModelEvaluatingConfig, evaluate_models
from jobs.evaluating.model_report import document_name, model_document, model_summary_rows
from jobs.evaluating.model_tables import print_model_tables
from jobs.evaluating.plots import evaluation_sheet
from jobs.evaluating.report import evaluation_document
from jobs.evaluating.table_command import table_command
from jobs.evaluating.tables import print_tables
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from networks.inputs import PIXEL_BUDGET
from pipeline import storage
from pipeline.drawing import write_image
from pipeline.records import TrackLabels
from pipeline.tables import write_document
from trainer.evaluation import ALL_PROTOCOLS, PROTOCOL_NAMES, WORLD_TRACK_PROTOCOLS, EvaluationSettings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
WORLD_TRACK_PIXELS = 512 * 288  # of a frame, as St4RTrack's published figures have it

SimilarityName = Literal["sim3", "sim3_repository"]
ModeName = Literal["first", "strided"]
GeometryName = Literal["model", "truth"]
KindName = Literal["tracks", "tracks3d", "flow", "cameras"]
DepthRangeName = Literal["sintel", "bonn", "kitti", "nyu"]


@app.callback()
def evaluate() -> None:
    """Measure against ground truth."""


@app.command(
    "labels",
    cls=options.command_of(
        "--root /data/wild --labels LABELSET --out /data/evaluation",
        "--root /data/walks --labels CAMERAS --labels REFINED",
    ),
)
def labels_command(
    root: options.Root,
    labels: Annotated[list[str], typer.Option(help="Label set; of tracks made with --query-policy truth. Repeat it to compare.")],
    kind: Annotated[
        KindName | None, typer.Option(help="What the sets are measured as: tracks in space also as tracks.", show_default="what they are")
    ] = None,
    split: options.Split = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder or URL: evaluation.json, .png; of other kinds label_scores.json.", show_default="nothing is written"),
    ] = None,
    mode: Annotated[ModeName, typer.Option(help="Frames of tracks that count: those after the query; or all but the query's.")] = "first",
    clips: Annotated[int, typer.Option(help="Clips in the table of tracks, the worst ones if there are more; 0 for none.")] = 24,
    executor: options.Executor = "inline",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
) -> None:  # fmt: skip
    """Label sets against truth, all on the same clips: tracks (TAP-Vid), tracks in space (APD), flow (EPE), cameras (ATE, RPE)."""

    def body() -> int:
        executes = Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit))
        folder = None if out is None else storage.absolute(out)
        if measured_kind(root, labels, kind) != TrackLabels.kind:
            scoring = ModelEvaluatingConfig(root=root, label_sets=tuple(labels), split=split, out=folder, executor=executes)
            return evaluate_and_report(scoring, out, max_error_rate)
        config = EvaluatingConfig(
            root=root,
            label_sets=tuple(labels),
            split=split,
            query_mode=mode,
            out=folder,
            executor=executes,
        )
        evaluation = evaluate_labels(config)
        print_tables(evaluation, num_clips=clips)
        if folder is not None:
            write_evaluation(folder, evaluation)
        print_summary("evaluation", summary_rows(evaluation, out))
        say_unexpected(evaluation.unexpected)
        return error_exit(len(evaluation.clip_errors), evaluation.num_clips, max_error_rate, see="the warnings above")

    run_job(body)


def write_evaluation(folder: str, evaluation: Evaluation) -> None:
    """Publish the JSON, and the picture if any clip was measured."""
    write_document(storage.join(folder, "evaluation.json"), evaluation_document(evaluation), "evaluation")
    if evaluation.keys:
        write_image(storage.join(folder, "evaluation.png"), evaluation_sheet(evaluation))


def summary_rows(evaluation: Evaluation, out: str | None) -> list[tuple[str, object]]:
    """Summary rows: clips that were evaluated, and clips that were not."""
    config = evaluation.config
    unmatched = {one.label_set.name: sum(clip.num_unmatched for clip in one.clips) for one in evaluation.sets}
    rows: list[tuple[str, object]] = [
        ("clips", f"{len(evaluation.keys)} of {evaluation.num_clips}, split {config.split or 'all'}; the same for every set"),
        ("tracks", ", ".join(f"{sum(clip.num_tracks for clip in one.clips):,} {one.label_set.name}" for one in evaluation.sets)),
    ]
    if evaluation.left_out:
        rows.append(("left out", ", ".join(f"{count} {reason}" for reason, count in evaluation.left_out.items())))
    if any(unmatched.values()):
        rows.append(("no truth", ", ".join(f"{counted(count, 'label')} of {name}" for name, count in unmatched.items() if count)))
    rows.append(("written", f"{out}/evaluation.json and .png" if out else "nothing; --out DIR keeps the numbers, settings and plots"))
    return rows


@app.command(
    "model",
    cls=options.command_of(
        "--root /data/wild --checkpoint run/weights.safetensors --out /data/evaluation",
        "--root /data/wild --checkpoint first.safetensors --checkpoint second.safetensors",
        former={"--frames": "--clip-frames", "--tracks": "--queries"},
    ),
)
def model_command(
    root: options.Root,
    checkpoint: Annotated[list[str], typer.Option(help="Model: a path, hf://org/repo/file, or a URL; repeat it to compare.")],
    split: options.Split = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder or URL for model_evaluation.json, with the values of every clip.", show_default="nothing is written"),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(metavar="|".join(ALL_PROTOCOLS), help="Measures to take; repeat it.", show_default="the first four"),
    ] = None,
    clip_frames: Annotated[int, typer.Option(help="Frames taken of a clip, from a place drawn by the seed.")] = 24,
    stride: Annotated[int, typer.Option(help="Take every N-th frame of the clip.")] = 1,
    limit: options.Limit = None,
    pixels: options.Pixels = PIXEL_BUDGET,
    queries: Annotated[int, typer.Option(help="Points followed per clip, at most: of its true tracks.")] = 512,
    point_frames: Annotated[int, typer.Option(help="Frames of a clip whose points are compared.")] = 4,
    points: Annotated[int, typer.Option(help="Points of these frames together, at most, on an even grid.")] = 20_000,
    icp_distance: Annotated[float, typer.Option(help="Largest distance of an ICP match, in the truth's unit; 0 for no ICP.")] = 0.1,
    geometry: Annotated[
        GeometryName, typer.Option(help="Points and cameras: the model's, or the truth for a Track4World without a backbone.")
    ] = "model",
    flow_frame: Annotated[int, typer.Option(help="Frame of a clip that scene_flow goes to from the first: 4, or 16 for the long one.")] = 4,
    depth_range: Annotated[
        DepthRangeName | None, typer.Option(help="Depths that count, as in the tables of this dataset.", show_default="all")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the frames that are drawn.")] = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    executor: options.Executor = "inline",
    num_gpus_per_worker: options.NumGpusPerWorker = 0.0,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
) -> None:  # fmt: skip
    """Checkpoints against truth: camera poses, video depth, point maps and 3D tracks, all on the same clips."""

    def body() -> int:
        settings = EvaluationSettings(
            protocols=tuple(protocol or PROTOCOL_NAMES),
            pixel_budget=pixels,
            num_tracks=queries,
            point_frames=point_frames,
            max_points=points,
            icp_distance=icp_distance or None,
            geometry=geometry,
            flow_frame=flow_frame,
            depth_range=depth_range,
            seed=seed,
        )
        config = ModelEvaluatingConfig(
            root=root,
            checkpoints=tuple(checkpoint),
            split=split,
            num_frames=clip_frames,
            frame_stride=stride,
            limit=limit,
            settings=settings,
            device=device,
            precision=precision,
            out=None if out is None else storage.absolute(out),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            num_gpus_per_worker=num_gpus_per_worker,
        )
        return evaluate_and_report(config, out, max_error_rate)

    run_job(body)


def evaluate_and_report(config: ModelEvaluatingConfig, out: str | None, max_error_rate: float) -> int:
    """Measure checkpoints, or label sets of other kinds than tracks; print and write what was found. Returns the exit code."""
    evaluation = evaluate_models(config)
    print_model_tables(evaluation)
    if out is not None:
        name = document_name(config)
        write_document(storage.join(storage.absolute(out), f"{name}.json"), model_document(evaluation), name)
    print_summary("evaluation", model_summary_rows(evaluation, out))
    say_unexpected(evaluation.unexpected)
    errors = len({error.key for error in evaluation.clip_errors}) + evaluation.num_unreadable
    return error_exit(errors, evaluation.num_clips, max_error_rate, see="the warnings above")


@app.command(
    "worldtrack",
    cls=options.command_of(
        "--root /data/worldtrack --checkpoint run/weights.safetensors --out /data/evaluation",
        "--root /data/worldtrack --checkpoint first.safetensors --checkpoint second.safetensors",
    ),
)
def world_track_command(
    root: options.Root,
    checkpoint: Annotated[list[str], typer.Option(help="Model: a path, hf://org/repo/file, or a URL; repeat it to compare.")],
    split: options.Split = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder or URL for model_evaluation.json, with the values of every clip.", show_default="nothing is written"),
    ] = None,
    clip_frames: Annotated[int, typer.Option(help="First frames of each clip that are measured.")] = 64,
    limit: options.Limit = None,
    pixels: options.Pixels = WORLD_TRACK_PIXELS,
    sim3: Annotated[
        SimilarityName, typer.Option(help="Umeyama's similarity, or sim3_repository: with the scale as the public evaluation has it.")
    ] = "sim3",
    seed: Annotated[int, typer.Option(help="Seed of RANSAC.")] = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    executor: options.Executor = "inline",
    num_gpus_per_worker: options.NumGpusPerWorker = 0.0,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
) -> None:  # fmt: skip
    """Checkpoints on the WorldTrack benchmark: every track of the first frame and all points, whole clips, by subset."""

    def body() -> int:
        config = ModelEvaluatingConfig(
            root=root,
            checkpoints=tuple(checkpoint),
            split=split,
            frames=FrameChoice(first=clip_frames),
            limit=limit,
            settings=EvaluationSettings(protocols=WORLD_TRACK_PROTOCOLS, pixel_budget=pixels, num_tracks=None, world_sim3=sim3, seed=seed),
            device=device,
            precision=precision,
            out=None if out is None else storage.absolute(out),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            num_gpus_per_worker=num_gpus_per_worker,
        )
        return evaluate_and_report(config, out, max_error_rate)

    run_job(body)


app.command(
    "table",
    cls=options.command_of(
        "3 --checkpoint run/weights.safetensors --root sintel=/data/sintel --root tum=/data/tum --out /data/table_3",
        "8 --checkpoint first.safetensors --checkpoint second.safetensors --root eth3d=/data/eth3d",
    ),
)(table_command)


if __name__ == "__main__":
    app()
