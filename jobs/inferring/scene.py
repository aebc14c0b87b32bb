"""A reconstruction as a picture, and as a recording for the Rerun viewer."""

from dataclasses import replace

import numpy as np

from pipeline import storage
from pipeline.datasets.projection import project
from pipeline.drawing import SheetCell, clip_cell, contact_sheet
from pipeline.drawing.clip_scene import ClipScene
from pipeline.drawing.depth import depth_pictures
from pipeline.drawing.style import colour_indices, palette
from pipeline.errors import ConfigError, install_command
from pipeline.records import ClipSample, TrackLabels
from trainer.inference import Reconstruction
from trainer.inference.digest import Digest


def require_rerun() -> None:
    """Raise ConfigError unless the viewer's package is installed."""
    try:
        import rerun  # noqa: F401  asked for before a model is loaded
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "rerun":
            raise
        raise ConfigError(f"--rerun needs the package rerun-sdk, which is not installed: {install_command('viz')}") from error


def write_rerun(uri: str, scene: ClipScene) -> None:
    """Publish cameras, points, tracks and frames as .rrd."""
    from pipeline.drawing.rerun_file import write_recording

    write_recording(storage.absolute(uri), scene)


def preview(name: str, whole: Reconstruction, digest: Digest) -> np.ndarray:
    """Frames with their tracks above their depth (near is bright, what is not in the cloud is grey), uint8 "H W 3"."""
    height, width = whole.size
    numbers = digest.numbers.tolist()
    size = f"{whole.num_frames} frames   {width} x {height}"
    tracks = clip_cell("tracks", digest.frames, track_labels(digest, visible=whole.visible), numbers=numbers)
    shown = whole.num_points / (whole.num_frames * height * width)
    depth = clip_cell("depth", depth_pictures(digest.depth).frames, None, legend="depth", numbers=numbers)
    cells: list[SheetCell] = [
        replace(tracks, note=f"{size}   {describe_tracks(whole)}"),
        replace(depth, note=f"near is bright   {shown:.0%} of the points in the cloud, the others are grey"),
    ]
    return contact_sheet(cells, title=name, subtitle="predicted by the model; lengths in a unit of its own")


def describe_tracks(whole: Reconstruction) -> str:
    """Number of tracks, of those that the picture can show, and the share of their points that is seen."""
    if not whole.num_tracks:
        return "no tracks"
    if whole.intrinsics is None:
        return f"{whole.num_tracks} tracks, and no camera that projects them   {whole.seen_share:.0%} visible"
    return f"{whole.num_tracks} tracks, {whole.num_inside} inside the frame   {whole.seen_share:.0%} visible"


def track_labels(digest: Digest, *, visible: float) -> TrackLabels | None:
    """The tracks as pixels of the frames, through fitted cameras; None if there are no tracks, or no cameras.

    In frames of other windows than its own a track is not visible, and far outside of the image.
    """
    tracks = digest.tracks
    if tracks is None or digest.intrinsics is None:
        return None
    height, width = digest.frames.shape[1:3]
    pixels = np.where(tracks.alive[..., None], project(tracks.camera, digest.intrinsics), -np.array([width, height], np.float64))
    return TrackLabels(
        queries=tracks.queries,
        tracks_px=pixels.astype(np.float32),
        visibility=tracks.alive & (tracks.visibility_score >= visible),
        visibility_score=tracks.visibility_score,
    )


def scene_of_digest(name: str, digest: Digest, *, times_s: np.ndarray, visible: float) -> ClipScene:
    """Frames, cameras, depth and tracks for the viewer.

    Args:
        times_s: "K", of the digest's frames.
    """
    labels, tracks = track_labels(digest, visible=visible), digest.tracks
    num_frames, height, width, _ = digest.frames.shape
    sample = ClipSample(
        key=name,
        source=name,
        split="test",
        index=0,
        frames=digest.frames,
        frame_indices=digest.numbers,
        frame_times=times_s,
        supervision="pseudo",
        intrinsics=digest.intrinsics,
        camera_to_world=digest.camera_to_world,
        depth=digest.depth,
        visibility=None if tracks is None else tracks.alive & (tracks.visibility_score >= visible),
        tracks3d_world=None if tracks is None else tracks.world,
    )
    report = f"# {name}\n\n{num_frames} frames of {width} x {height}; lengths in the model's own unit, focal lengths fitted to its points\n"
    colours = None if labels is None else palette()[colour_indices(labels.queries, height, width)]
    return ClipScene(sample=sample, report=report, labels=labels, colours=colours)
