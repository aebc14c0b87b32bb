"""jobs/infer.py without its command line."""

from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath

import numpy as np
import torch

from jobs.devices import choose_device, choose_precision
from jobs.inferring.frames import FrameChoice, InputFrames, read_frames
from jobs.inferring.scene import preview, require_rerun, write_rerun
from jobs.loading_models import CheckpointInfo, load_checkpoint
from networks.inputs import PIXEL_BUDGET
from networks.layers.computing import FORWARD_PRECISIONS
from networks.trajvg.track_head import grid_queries
from pipeline import storage
from pipeline.drawing import write_image
from pipeline.errors import ConfigError
from pipeline.shards.dataset import code_version
from pipeline.tables import write_document
from trainer.families import family_of
from trainer.inference import Prediction, predict
from trainer.inference.files import VISIBLE, fit_intrinsics, trusted_points, write_arrays, write_cloud, write_trajectory

ARRAYS, CLOUD, TRAJECTORY, PREVIEW, RECORDING, DOCUMENT = (
    "predictions.npz",
    "points.ply",
    "poses.txt",
    "preview.png",
    "recording.rrd",
    "inference.json",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceConfig:
    """All that jobs/infer.py is asked for."""

    source: str  # a video, or a folder of images
    checkpoint: str
    out: str
    choice: FrameChoice = field(default_factory=lambda: FrameChoice(pixel_budget=PIXEL_BUDGET))
    grid_px: int = 20  # between the points of the first frame that are tracked, at the model's size; 0 tracks none
    least_confidence: float = 0.1  # of points in the cloud
    visible: float = VISIBLE  # score above which a tracked point counts as seen
    rerun: bool = False
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
    prediction: Prediction
    checkpoint: CheckpointInfo
    device: str
    precision: str
    tracks: bool  # whether the model follows points
    num_points: int  # in the cloud
    focal_px: float | None  # median over the frames, of the cameras fitted to the points; None if none fits


def infer(config: InferenceConfig) -> Inference:
    """Run a checkpoint on a video and publish its files; `inference.json`, what made them, comes last.

    Raises: ConfigError for an input or a checkpoint that is not there, or a device that cannot be used; DataError.
    """
    if config.rerun:
        require_rerun()
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    model, info = load_checkpoint(config.checkpoint, device)
    given = read_frames(config.source, config.choice, patch=family_of(info.model).patch_size(model))
    prediction = predict(model, given.frames, _queries(given, config.grid_px), precision=precision)
    num_points = _write(config, given, prediction)
    cameras = fit_intrinsics(prediction.local_points, prediction.confidence)
    inference = Inference(
        given=given,
        prediction=prediction,
        checkpoint=info,
        device=str(device),
        precision=precision,
        tracks=family_of(info.model).tracks(model),
        num_points=num_points,
        focal_px=None if cameras is None else float(np.median(cameras[:, 0, 0])),
    )
    write_document(storage.join(storage.absolute(config.out), DOCUMENT), _document(config, inference), "inference")
    return inference


def _queries(given: InputFrames, grid_px: int) -> np.ndarray | None:
    """A grid over the first frame, float32 "N 2"."""
    if not grid_px:
        return None
    height, width = given.frames.shape[1:3]
    return np.asarray(grid_queries(torch.empty(1, 1, 3, height, width), grid_px)[0])


def _write(config: InferenceConfig, given: InputFrames, prediction: Prediction) -> int:
    folder, name = storage.absolute(config.out), PurePosixPath(config.source.rstrip("/")).name
    shown = trusted_points(prediction.depth, prediction.confidence, least_confidence=config.least_confidence)
    write_arrays(storage.join(folder, ARRAYS), prediction, visible=config.visible)
    num_points = write_cloud(storage.join(folder, CLOUD), prediction, shown)
    write_trajectory(storage.join(folder, TRAJECTORY), prediction.camera_to_world, given.times_s)
    write_image(storage.join(folder, PREVIEW), preview(name, prediction, shown=shown, visible=config.visible))
    if config.rerun:
        write_rerun(storage.join(folder, RECORDING), name, given, prediction, shown=shown, visible=config.visible)
    return num_points


def _document(config: InferenceConfig, done: Inference) -> dict[str, object]:
    """Provenance of the files, in JSON types; no clock time, no path of this machine."""
    num_frames, height, width, _ = done.prediction.frames.shape
    tracks = done.prediction.tracks
    return {
        "source": PurePosixPath(config.source.rstrip("/")).name,
        "frames": {"count": num_frames, "size": [height, width], "stored_size": list(done.given.stored_size), **asdict(config.choice)},
        "checkpoint": done.checkpoint.document(),
        "settings": {"grid_px": config.grid_px, "least_confidence": config.least_confidence, "visible": config.visible},
        "precision": done.precision,
        "fitted_focal_px": None if done.focal_px is None else round(done.focal_px, 3),
        "num_tracks": 0 if tracks is None else len(tracks.queries),
        "conventions": {
            "extrinsics": "camera to world, OpenCV axes",
            "lengths": "the model's own unit",
            "pixels": "integer = pixel centre, of the resized frames",
        },
        "code_version": code_version(),
    }
