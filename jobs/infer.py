"""A model on a video or a folder of images: `python jobs/infer.py INPUT --checkpoint FILE --out DIR`."""

from typing import Annotated

import numpy as np
import typer

from jobs import options
from jobs.console import DONE, counted, print_summary, run_job
from jobs.inferring.config import DenseRequest, InferenceConfig
from jobs.inferring.frames import FrameRequest
from jobs.inferring.job import infer
from jobs.inferring.outcome import DenseSummary, Inference
from trainer.inference.joining import Joint

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_DENSE = "Dense tracks of Track4World"
_SHOWN_JOINTS = 6
_SHOWN_FRAMES = 6
_NOTED_STRETCH = 0.02  # change of aspect that is said


@app.command("infer", cls=options.command_of("walk.mp4 --checkpoint run/weights.safetensors --out /data/inferred"))
def infer_command(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Video file, or folder of images taken in the order of their names.")],
    checkpoint: Annotated[str, typer.Option(help="File of ours, or of π³, Pi3X, TrajVG, Track4World: path, hf://org/repo/file, or URL.")],
    out: Annotated[str, typer.Option(help="Folder or URL for the results.")],
    reconstruction: Annotated[
        str | None,
        typer.Option(
            help="St4RTrack: points and cameras by these weights, such as those that an adaptation of the tracks alone began from.",
            show_default="the checkpoint's own",
        ),
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Take every N-th frame.", show_default="as the checkpoint was trained")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="Frames reconstructed at once, on which memory depends.", show_default="as the checkpoint was trained"),
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Frames that neighbouring windows of a longer video share.", show_default="a quarter, at least 2")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many frames, from the beginning.", show_default="all")] = None,
    pixels: Annotated[
        int | None, typer.Option(help="Pixels of a frame as the model sees it, at most.", show_default="as the checkpoint was trained")
    ] = None,
    grid: Annotated[
        int | None,
        typer.Option(help="Track a grid of points of each window's first frame, so many pixels apart; 0: none.", show_default="20"),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(help="Pixels from one dense track to the next; 1: every pixel.", show_default="4", rich_help_panel=_DENSE),
    ] = None,
    reference: Annotated[
        int | None,
        typer.Option(
            help="Track the pixels of this frame to all frames, hidden or not.",
            show_default="chained: tracks from frame to frame, and new ones where none passes",
            rich_help_panel=_DENSE,
        ),
    ] = None,
    round_trip: Annotated[
        float | None,
        typer.Option(
            help="End a chained track where going there and back misses its start by more pixels; takes twice the time.",
            show_default="no check",
            rich_help_panel=_DENSE,
        ),
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Also write the dense tracks as a table.", rich_help_panel=_DENSE)] = False,
    visible: Annotated[
        float | None,
        typer.Option(help="Score from which a tracked point counts as seen.", show_default="0.2; 0.3 for dense tracks"),
    ] = None,
    min_confidence: Annotated[float, typer.Option(help="Least confidence of points in the cloud, and of those that join windows.")] = 0.1,
    rerun: Annotated[bool, typer.Option("--rerun", help="Also write a recording for the Rerun viewer (the viz extra).")] = False,
    colmap: Annotated[bool, typer.Option("--colmap", help="Also write the frames and a model in COLMAP's layout, sparse/0.")] = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:  # fmt: skip
    """Reconstruct a video: cameras, points and tracks in space, as .npz, .ply, TUM poses and a picture."""

    def body() -> int:
        config = InferenceConfig(
            source=source,
            checkpoint=checkpoint,
            out=out,
            reconstruction=reconstruction,
            request=FrameRequest(stride=stride, at_once=frames, overlap=overlap, at_most=limit, pixel_budget=pixels),
            grid_px=grid,
            dense=DenseRequest(every_px=every, reference=reference, round_trip_px=round_trip, table=parquet),
            least_confidence=min_confidence,
            visible=visible,
            rerun=rerun,
            colmap=colmap,
            device=device,
            precision=precision,
        )
        print_summary("inference", summary_rows(infer(config), config))
        return DONE

    run_job(body)


def summary_rows(done: Inference, config: InferenceConfig) -> list[tuple[str, object]]:
    """Summary rows: model, defaults, frames, windows, cameras, points, tracks, files."""
    made, (height, width) = done.made, done.size
    focal = "no camera sees such points: the model is untrained or failed"
    if done.focal_px is not None:
        focal = f"focal length about {done.focal_px:.0f} px by the points"
    total = done.num_frames * height * width
    return [
        (
            "model",
            f"{made.checkpoint.model}, {made.precision} on {made.device}; licence {made.checkpoint.license or 'not stated'}",
        ),
        *([] if made.reconstruction is None else [("points, cameras", f"by {made.reconstruction.source}")]),
        ("defaults", _describe_defaults(done)),
        ("frames", _describe_frames(done)),
        *([("windows", _describe_windows(done))] if done.joints else []),
        ("cameras", f"{done.num_frames} poses; {focal}{_describe_lost(done)}"),
        ("points", f"{done.num_points:,} of {total:,} in the cloud (confidence, and no edge between near and far)"),
        ("tracks", _describe_tracks(done)),
        ("written", f"{', '.join(done.written)} in {config.out}"),
    ]


def _describe_lost(done: Inference) -> str:
    lost = done.cameras_not_found
    if not lost:
        return ""
    named = ", ".join(map(str, lost[:_SHOWN_FRAMES])) + (", ..." if len(lost) > _SHOWN_FRAMES else "")
    return f"; not found for {counted(len(lost), 'frame')} ({named}), which stand where their window begins: inference.json names them all"


def _describe_defaults(done: Inference) -> str:
    trained_on = done.made.checkpoint.trained_on
    if trained_on is None:
        return f"the published ones of {done.made.checkpoint.model}: the file does not say on what it was trained"
    ranges = ((trained_on.frames, "frames"), (trained_on.pixels, "pixels"))
    said = [f"{least:,} to {most:,} {unit}" if least < most else f"{most:,} {unit}" for (least, most), unit in ranges]
    nearest, farthest = trained_on.strides
    apart = f"{nearest} to {farthest}" if nearest < farthest else f"{nearest}"
    return f"as it was trained, on clips of {', '.join(said)}, stride {apart}"


def _describe_frames(done: Inference) -> str:
    height, width = done.size
    choice, stored = done.made.given.choice, done.made.given.stored_size
    text = f"{done.num_frames} of {width}x{height}"
    if choice.stride > 1:
        text += f", stride {choice.stride}"
    stretch = width / height / (stored[1] / stored[0])
    if abs(stretch - 1) > _NOTED_STRETCH:
        text += f"; {abs(stretch - 1):.1%} {'wider' if stretch > 1 else 'narrower'} than the input's {stored[1]}x{stored[0]}: whole patches"
    trained_on = done.made.checkpoint.trained_on
    if trained_on is not None and not trained_on.aspect[0] <= stored[1] / stored[0] <= trained_on.aspect[1]:
        least, most = trained_on.aspect
        text += f"; of an aspect of {stored[1] / stored[0]:.2f}, and training saw {least:g} to {most:g}"
    return text if done.made.given.all_taken else f"{text}; the input goes on: --limit N takes more"


def _describe_windows(done: Inference) -> str:
    choice = done.made.given.choice
    errors = np.array([joint.error for joint in done.joints])
    worst = done.joints[int(errors.argmax())]
    text = f"{done.num_windows} of {choice.at_once} frames, neighbours share {choice.overlap}; error at the joints, of the depth: "
    if len(errors) <= _SHOWN_JOINTS:
        text += ", ".join(f"{error:.2%}" for error in errors)
    else:
        text += f"{np.median(errors):.2%} in the median, {worst.error:.2%} at frame {worst.first}, the worst"
    return f"{text}; {_describe_counted(done.joints)}"


def _describe_counted(joints: tuple[Joint, ...]) -> str:
    least = min(joints, key=lambda joint: joint.inliers)
    turned = max(joints, key=lambda joint: joint.turn_deg)
    return f"at least {least.inliers:.0%} of the points agree, cameras within {turned.turn_deg:.1f} degrees"


def _describe_tracks(done: Inference) -> str:
    if done.dense is not None:
        return _describe_dense(done.dense)
    if not done.made.tracks:
        return f"{done.made.checkpoint.model} tracks nothing"
    if not done.num_tracks:
        return "none was asked for"
    new = ", new ones in every window" if done.joints else ""
    inside = "" if done.focal_px is None else f", {done.num_inside} inside the frame"
    return f"{done.num_tracks}{new}{inside}; {done.seen_share:.0%} of their points seen"


def _describe_dense(dense: DenseSummary) -> str:
    if not dense.num_tracks:
        return f"{dense.mode}: none lasts two frames; the model is untrained or has failed, or --visible asks too much"
    text = f"{dense.num_tracks:,} {dense.mode}, {dense.num_positions:,} positions; {dense.median_length:g} frames long in the median"
    whole = f"{dense.num_whole:,} from first frame to last"
    return f"{text}, {whole}" if dense.seen_share == 1 else f"{text}, {whole}; {dense.seen_share:.0%} of their points seen"


if __name__ == "__main__":
    app()
