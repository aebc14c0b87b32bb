"""jobs/infer.py without its command line."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

import numpy as np
import torch

from jobs.console import ProgressLine
from jobs.devices import choose_device, choose_precision
from jobs.inferring.frames import FrameRequest, InputFrames, find_input
from jobs.inferring.scene import preview, require_rerun, write_rerun
from jobs.loading_models import CheckpointInfo, keep_reconstruction, load_checkpoint
from networks.building import Network
from networks.layers.computing import FORWARD_PRECISIONS, ForwardPrecision
from networks.trajvg.track_head import grid_queries
from pipeline import storage
from pipeline.drawing import write_image
from pipeline.errors import ConfigError
from pipeline.shards.dataset import code_version
from pipeline.tables import write_document
from trainer.families import family_of
from trainer.inference import Prediction, Reconstruction, Window, predict, reconstruct
from trainer.inference.colmap import check_cameras, write_colmap
from trainer.inference.digest import take_digest
from trainer.inference.files import write_arrays, write_cloud, write_tracks, write_trajectory
from trainer.inference.joining import Joint
from trainer.inference.reconstruction import VISIBLE

ARRAYS, TRACKS, CLOUD, TRAJECTORY, PREVIEW, RECORDING, COLMAP, DOCUMENT = (
    "predictions.npz",
    "tracks.npz",
    "points.ply",
    "poses.txt",
    "preview.png",
    "recording.rrd",
    "colmap",
    "inference.json",
)
_SHOWN_FRAMES = 64  # of a long video, in picture and recording


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceConfig:
    """All that jobs/infer.py is asked for."""

    source: str  # a video, or a folder of images
    checkpoint: str
    out: str
    reconstruction: str | None = None  # St4RTrack: weights of points and cameras, where the checkpoint's tracks alone were adapted
    request: FrameRequest = FrameRequest()
    grid_px: int = 20  # between the points of a window's first frame that are tracked, at the model's size; 0 tracks none
    least_confidence: float = 0.1  # of points in the cloud, and of points by which windows are joined
    visible: float = VISIBLE  # score from which a tracked point counts as seen
    rerun: bool = False
    colmap: bool = False
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.precision not in ("auto", *FORWARD_PRECISIONS):
            raise ConfigError(f"--precision is {self.precision!r}, expected auto, {', '.join(FORWARD_PRECISIONS)}")
        if self.grid_px < 0:
            raise ConfigError(f"--grid is {self.grid_px}, expected a distance in pixels, or 0 for no tracks")
        for name, value in (("--min-confidence", self.least_confidence), ("--visible", self.visible)):
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}, expected a number from 0 to 1")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Inference:
    """The outcome."""

    given: InputFrames
    size: tuple[int, int]  # (H, W) of the frames as the model saw them
    num_frames: int
    num_windows: int
    joints: tuple[Joint, ...]  # one fewer than windows
    checkpoint: CheckpointInfo
    reconstruction: CheckpointInfo | None  # of points and cameras; None: the checkpoint's own
    device: str
    precision: str
    tracks: bool  # whether the model follows points
    num_tracks: int
    num_inside: int  # tracks that the picture can show
    seen_share: float  # of the tracks' points
    num_points: int  # in the cloud
    cameras_not_found: tuple[int, ...] | None  # frames; None for a model that predicts its cameras
    focal_px: float | None  # median over the frames, of the cameras fitted to the points; None if none fits
    written: tuple[str, ...]  # names in the folder


def infer(config: InferenceConfig) -> Inference:
    """Run a checkpoint on a video and publish its files; `inference.json`, what made them, comes last.

    Raises: ConfigError for an input or a checkpoint that is not there, or a device that cannot be used; DataError.
    """
    if config.rerun:
        require_rerun()
    is_video = find_input(config.source)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    model, info = load_checkpoint(config.checkpoint, device)
    kept = None if config.reconstruction is None else keep_reconstruction(model, config.reconstruction, device)
    family = family_of(info.model)
    choice = config.request.resolve(info.trained_on, family.inference_defaults, is_video=is_video)
    given = InputFrames(source=config.source, choice=choice, patch=family.patch_size(model), is_video=is_video)
    with Reconstruction(config.out, least_confidence=config.least_confidence, visible=config.visible) as whole:
        joints = _fill(whole, config, given, model=model, precision=precision)
        written = _write(config, given, whole)
        cameras = whole.intrinsics
        inference = Inference(
            given=given,
            size=whole.size,
            num_frames=whole.num_frames,
            num_windows=len(joints) + 1,
            joints=joints,
            checkpoint=info,
            reconstruction=kept,
            device=str(device),
            precision=precision,
            tracks=family.tracks(model),
            num_tracks=whole.num_tracks,
            num_inside=whole.num_inside,
            seen_share=whole.seen_share,
            num_points=whole.num_points,
            cameras_not_found=None if whole.camera_found is None else tuple(np.flatnonzero(~whole.camera_found).tolist()),
            focal_px=None if cameras is None else float(np.median(cameras[:, 0, 0])),
            written=(*written, DOCUMENT),
        )
    write_document(storage.join(storage.absolute(config.out), DOCUMENT), _document(config, inference), "inference")
    return inference


def _fill(
    whole: Reconstruction, config: InferenceConfig, given: InputFrames, *, model: Network, precision: ForwardPrecision
) -> tuple[Joint, ...]:
    """Reconstruct window after window, with a progress bar."""

    def predict_window(window: Window[np.ndarray]) -> Prediction:
        frames = np.stack(window.items)
        return predict(model, frames, _queries(frames, config.grid_px), precision=precision)

    plan = given.choice.windows
    joints = []
    with ProgressLine("inference", plan.count(given.expected()), "windows") as progress:
        for joint in reconstruct(plan.cut(given), predict_window, whole):
            joints += [] if joint is None else [joint]
            if config.colmap:
                check_cameras(whole)
            progress.advance(1)
    return tuple(joints)


def _queries(frames: np.ndarray, grid_px: int) -> np.ndarray | None:
    """A grid over the first frame, float32 "N 2"."""
    if not grid_px:
        return None
    height, width = frames.shape[1:3]
    return np.asarray(grid_queries(torch.empty(1, 1, 3, height, width), grid_px)[0])


def _write(config: InferenceConfig, given: InputFrames, whole: Reconstruction) -> Sequence[str]:
    """Publish the files. Returns their names."""
    folder, name = storage.absolute(config.out), PurePosixPath(config.source.rstrip("/")).name
    times_s = np.asarray(given.times_s, np.float64)
    digest = take_digest(whole, at_most=max(_SHOWN_FRAMES, given.choice.at_once))
    write_arrays(storage.join(folder, ARRAYS), whole)
    write_cloud(storage.join(folder, CLOUD), whole)
    write_trajectory(storage.join(folder, TRAJECTORY), whole.camera_to_world, times_s, whole.camera_found)
    write_image(storage.join(folder, PREVIEW), preview(name, whole, digest))
    written = [ARRAYS, CLOUD, TRAJECTORY, PREVIEW]
    if whole.num_tracks:
        write_tracks(storage.join(folder, TRACKS), whole)
        written.append(TRACKS)
    if config.rerun:
        write_rerun(storage.join(folder, RECORDING), name, digest, times_s=times_s, visible=config.visible)
        written.append(RECORDING)
    if config.colmap:
        write_colmap(storage.join(folder, COLMAP), whole)
        written.append(COLMAP)
    return written


def _document(config: InferenceConfig, done: Inference) -> dict[str, object]:
    """Provenance of the files, in JSON types; no clock time, no path of this machine."""
    trained_on = done.checkpoint.trained_on
    return {
        "source": PurePosixPath(config.source.rstrip("/")).name,
        "frames": {
            "count": done.num_frames,
            "size": list(done.size),
            "stored_size": list(done.given.stored_size),
            **asdict(done.given.choice),
        },
        "joints": [_joint_document(joint) for joint in done.joints],
        "checkpoint": done.checkpoint.document(),
        **({} if done.reconstruction is None else {"reconstruction": done.reconstruction.document()}),
        "trained_on": None if trained_on is None else asdict(trained_on),
        "settings": {"grid_px": config.grid_px, "least_confidence": config.least_confidence, "visible": config.visible},
        "precision": done.precision,
        "fitted_focal_px": None if done.focal_px is None else round(done.focal_px, 3),
        **({} if done.cameras_not_found is None else {"cameras_not_found": list(done.cameras_not_found)}),
        "num_tracks": done.num_tracks,
        "num_tracks_inside": done.num_inside,
        "conventions": {
            "extrinsics": "camera to world, OpenCV axes",
            "lengths": "the model's own unit",
            "pixels": "integer = pixel centre, of the resized frames",
        },
        "code_version": code_version(),
    }


def _joint_document(joint: Joint) -> dict[str, object]:
    """Where a window was joined, and how well; errors are root mean squares."""
    return {
        "first_frame": joint.first,
        "num_frames": joint.num_frames,
        "scale": round(joint.similarity.scale, 6),
        "error_of_depth": round(joint.error, 6),
        "points_that_count": round(joint.inliers, 4),
        "cameras_turn_deg": round(joint.turn_deg, 4),
        "cameras_shift_of_depth": round(joint.shift, 6),
    }
