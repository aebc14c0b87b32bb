"""A prediction as a picture, and as a recording for the Rerun viewer."""

import numpy as np

from jobs.inferring.frames import InputFrames
from pipeline import storage
from pipeline.datasets.projection import project
from pipeline.drawing import SheetCell, clip_cell, contact_sheet
from pipeline.drawing.clip_scene import ClipScene
from pipeline.drawing.depth import depth_pictures
from pipeline.drawing.style import colour_indices, palette
from pipeline.errors import ConfigError
from pipeline.records import ClipSample, TrackLabels
from trainer.inference import Prediction
from trainer.inference.files import fit_intrinsics


def require_rerun() -> None:
    """Raise ConfigError unless the viewer's package is installed."""
    try:
        import rerun  # noqa: F401  asked for before a model is loaded
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "rerun":
            raise
        raise ConfigError("--rerun needs the package rerun-sdk, which is not installed: pip install 'trackmill[viz]'") from error


def write_rerun(uri: str, name: str, given: InputFrames, prediction: Prediction, *, shown: np.ndarray, visible: float) -> None:
    """Publish cameras, points, tracks and frames as .rrd."""
    from pipeline.drawing.rerun_file import write_recording

    write_recording(storage.absolute(uri), _scene(name, given, prediction, shown=shown, visible=visible))


def preview(name: str, prediction: Prediction, *, shown: np.ndarray, visible: float) -> np.ndarray:
    """Frames with their tracks above their depth (near is bright, what is not shown in the cloud is grey), uint8 "H W 3"."""
    labels = track_labels(prediction, fit_intrinsics(prediction.local_points, prediction.confidence), visible=visible)
    cells: list[SheetCell] = [
        clip_cell("tracks", prediction.frames, labels, note="" if labels else "no tracks, or no camera that projects them"),
        clip_cell(
            "depth",
            depth_pictures(prediction.depth, shown).frames,
            None,
            note=f"{shown.mean():.0%} of the points in the cloud",
            legend="depth",
        ),
    ]
    return contact_sheet(cells, title=name, subtitle="predicted by the model; lengths in a unit of its own")


def track_labels(prediction: Prediction, intrinsics: np.ndarray | None, *, visible: float) -> TrackLabels | None:
    """The tracks as pixels of the frames, through fitted cameras; None if there are no tracks, or no cameras."""
    tracks = prediction.tracks
    if tracks is None or intrinsics is None:
        return None
    first = np.zeros((len(tracks.queries), 1), np.float32)
    return TrackLabels(
        queries=np.concatenate([first, tracks.queries], axis=1),
        tracks_px=project(tracks.camera, intrinsics).astype(np.float32),
        visibility=tracks.visibility_score > visible,
        visibility_score=tracks.visibility_score,
    )


def _scene(name: str, given: InputFrames, prediction: Prediction, *, shown: np.ndarray, visible: float) -> ClipScene:
    intrinsics = fit_intrinsics(prediction.local_points, prediction.confidence)
    labels, tracks = track_labels(prediction, intrinsics, visible=visible), prediction.tracks
    num_frames, height, width, _ = prediction.frames.shape
    sample = ClipSample(
        key=name,
        source=name,
        split="test",
        index=0,
        frames=prediction.frames,
        frame_indices=np.arange(num_frames),
        frame_times=given.times_s,
        supervision="pseudo",
        intrinsics=intrinsics,
        camera_to_world=prediction.camera_to_world,
        depth=np.where(shown, prediction.depth, np.float32(0)),
        visibility=None if tracks is None else tracks.visibility_score > visible,
        tracks3d_world=None if tracks is None else tracks.world,
    )
    report = f"# {name}\n\n{num_frames} frames of {width} x {height}; lengths in the model's own unit, focal lengths fitted to its points\n"
    colours = None if labels is None else palette()[colour_indices(labels.queries, height, width)]
    return ClipScene(sample=sample, report=report, labels=labels, colours=colours)
