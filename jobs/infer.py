"""A model on a video or a folder of images: `python jobs/infer.py INPUT --checkpoint FILE --out DIR`."""

from typing import Annotated

import typer

from jobs import options
from jobs.console import DONE, print_summary, run_job
from jobs.inferring.frames import FrameChoice
from jobs.inferring.job import ARRAYS, CLOUD, DOCUMENT, PREVIEW, RECORDING, TRAJECTORY, Inference, InferenceConfig, infer
from networks.inputs import PIXEL_BUDGET
from trainer.inference.files import VISIBLE

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("infer", cls=options.command_of("walk.mp4 --checkpoint run/weights.safetensors --out /data/inferred"))
def infer_command(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Video file, or folder of images taken in the order of their names.")],
    checkpoint: Annotated[str, typer.Option(help="File of ours, or of π³, Pi3X or TrajVG: a path, hf://org/repo/file, or a URL.")],
    out: Annotated[str, typer.Option(help="Folder or URL for the results.")],
    stride: Annotated[int, typer.Option(help="Take every N-th frame.")] = 1,
    frames: Annotated[int, typer.Option(help="Take at most so many: they are reconstructed at once, and memory grows with them.")] = 64,
    pixels: options.Pixels = PIXEL_BUDGET,
    grid: Annotated[int, typer.Option(help="Track a grid of points of the first frame, so many pixels apart; 0 for none.")] = 20,
    visible: Annotated[float, typer.Option(help="Score above which a tracked point counts as seen.")] = VISIBLE,
    min_confidence: Annotated[float, typer.Option(help="Least confidence of points in the cloud.")] = 0.1,
    rerun: Annotated[bool, typer.Option("--rerun", help="Also write a recording for the Rerun viewer (the viz extra).")] = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:  # fmt: skip
    """Reconstruct a video: cameras, points and tracks in space, as .npz, .ply, TUM poses and a picture."""

    def body() -> int:
        config = InferenceConfig(
            source=source,
            checkpoint=checkpoint,
            out=out,
            choice=FrameChoice(stride=stride, at_most=frames, pixel_budget=pixels),
            grid_px=grid,
            least_confidence=min_confidence,
            visible=visible,
            rerun=rerun,
            device=device,
            precision=precision,
        )
        print_summary("inference", summary_rows(infer(config), config))
        return DONE

    run_job(body)


def summary_rows(done: Inference, config: InferenceConfig) -> list[tuple[str, object]]:
    """Summary rows: model, frames, cameras, points, tracks, files."""
    num_frames, height, width, _ = done.prediction.frames.shape
    rest = "" if done.given.all_taken else "; the input goes on: --stride N spreads them, --frames N takes more"
    tracks = done.prediction.tracks
    share = 0.0 if tracks is None else (tracks.visibility_score > config.visible).mean()
    untracked = "none was asked for" if done.tracks else f"{done.checkpoint.model} tracks nothing"
    focal = "no camera sees such points: the model is untrained or failed"
    if done.focal_px is not None:
        focal = f"focal length about {done.focal_px:.0f} px by the points"
    files = [ARRAYS, CLOUD, TRAJECTORY, PREVIEW, *([RECORDING] if config.rerun else []), DOCUMENT]
    return [
        ("model", f"{done.checkpoint.model}, {done.precision} on {done.device}; licence {done.checkpoint.license or 'not stated'}"),
        ("frames", f"{num_frames} of {width}x{height}{rest}"),
        ("cameras", f"{num_frames} poses; {focal}"),
        ("points", f"{done.num_points:,} of {num_frames * height * width:,} in the cloud (confidence, and no edge between near and far)"),
        ("tracks", untracked if tracks is None else f"{len(tracks.queries)}, {share:.0%} of their points seen"),
        ("written", f"{', '.join(files)} in {config.out}"),
    ]


if __name__ == "__main__":
    app()
