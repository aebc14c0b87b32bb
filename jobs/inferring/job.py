"""jobs/infer.py without its command line."""

from pathlib import PurePosixPath

import numpy as np
import torch

from jobs.console import ProgressLine
from jobs.devices import choose_device, choose_precision
from jobs.inferring.config import DOCUMENT, GRID_PX, PREVIEW, RECORDING, TRACKS, InferenceConfig
from jobs.inferring.dense import infer_densely
from jobs.inferring.files import write_geometry
from jobs.inferring.frames import InputFrames, find_input
from jobs.inferring.outcome import Inference, Made, inference_document
from jobs.inferring.scene import preview, require_rerun, scene_of_digest, write_rerun
from jobs.loading_models import CheckpointInfo, keep_reconstruction, load_checkpoint
from networks.building import Network
from networks.layers.computing import ForwardPrecision
from networks.track4world.network import Track4World
from networks.trajvg.track_head import grid_queries
from pipeline import storage
from pipeline.drawing import write_image
from pipeline.tables import write_document
from trainer.families import check_predicts, family_of
from trainer.inference import Prediction, Reconstruction, Window, predict, reconstruct
from trainer.inference.colmap import check_cameras
from trainer.inference.digest import take_digest
from trainer.inference.files import write_tracks
from trainer.inference.joining import Joint
from trainer.inference.reconstruction import VISIBLE

_SHOWN_FRAMES = 64  # of a long video, in picture and recording


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
    if isinstance(model, Track4World):
        inference = infer_densely(config, model, info, is_video=is_video)
    else:
        inference = _infer_windows(config, model, info, is_video=is_video, precision=precision)
    write_document(storage.join(storage.absolute(config.out), DOCUMENT), inference_document(inference), "inference")
    return inference


def _infer_windows(
    config: InferenceConfig, model: Network, info: CheckpointInfo, *, is_video: bool, precision: ForwardPrecision
) -> Inference:
    """Reconstruct in windows, each with a grid of tracks."""
    config.dense.refuse(info.model)
    device = next(model.parameters()).device
    kept = None if config.reconstruction is None else keep_reconstruction(model, config.reconstruction, device)
    family = family_of(info.model)
    check_predicts(family, model)
    choice = config.request.resolve(info.trained_on, family.inference_defaults, is_video=is_video)
    given = InputFrames(source=config.source, choice=choice, patch=family.patch_size(model), is_video=is_video)
    grid_px = GRID_PX if config.grid_px is None else config.grid_px
    visible = VISIBLE if config.visible is None else config.visible
    made = Made(
        given=given,
        checkpoint=info,
        reconstruction=kept,
        device=str(device),
        precision=precision,
        tracks=family.tracks(model),
        settings={"grid_px": grid_px, "least_confidence": config.least_confidence, "visible": visible},
    )
    with Reconstruction(config.out, least_confidence=config.least_confidence, visible=visible) as whole:

        def predict_window(window: Window[np.ndarray]) -> Prediction:
            frames = np.stack(window.items)
            return predict(model, frames, _queries(frames, grid_px), precision=precision)

        plan, joints = given.choice.windows, list[Joint]()
        with ProgressLine("inference", plan.count(given.expected()), "windows") as progress:
            for joint in reconstruct(plan.cut(given), predict_window, whole):
                joints += [] if joint is None else [joint]
                if config.colmap:
                    check_cameras(whole)
                progress.advance(1)
        written = _write(config, given, whole)
        return Inference.of(whole, made, joints=tuple(joints), written=(*written, DOCUMENT))


def _queries(frames: np.ndarray, grid_px: int) -> np.ndarray | None:
    """A grid over the first frame, float32 "N 2"."""
    if not grid_px:
        return None
    height, width = frames.shape[1:3]
    return np.asarray(grid_queries(torch.empty(1, 1, 3, height, width), grid_px)[0])


def _write(config: InferenceConfig, given: InputFrames, whole: Reconstruction) -> list[str]:
    """Publish the files. Returns their names."""
    folder, name = storage.absolute(config.out), PurePosixPath(config.source.rstrip("/")).name
    times_s = np.asarray(given.times_s, np.float64)
    written = write_geometry(folder, whole, times_s, colmap=config.colmap)
    digest = take_digest(whole, at_most=max(_SHOWN_FRAMES, given.choice.at_once))
    write_image(storage.join(folder, PREVIEW), preview(name, whole, digest))
    written.append(PREVIEW)
    if whole.num_tracks:
        write_tracks(storage.join(folder, TRACKS), whole)
        written.append(TRACKS)
    if config.rerun:
        scene = scene_of_digest(name, digest, times_s=times_s[digest.numbers], visible=whole.visible)
        write_rerun(storage.join(folder, RECORDING), scene)
        written.append(RECORDING)
    return written
