"""Predictions of a clip as protocols ask for them: all frames at once, each alone, or with tracks from several frames."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from networks.building import Network
from networks.inputs import fitted_size, resize_frames
from networks.layers.computing import ForwardPrecision
from trainer.evaluation.settings import SINGLE_IMAGES, EvaluationSettings
from trainer.evaluation.truth_metrics import ChosenTracks
from trainer.families.protocol import KnownGeometry
from trainer.inference.prediction import PredictedTracks, Prediction, predict

Predict = Callable[[np.ndarray, np.ndarray | None], Prediction]


def model_size(size: tuple[int, int], settings: EvaluationSettings, *, patch: int) -> tuple[int, int]:
    """(H, W) at which the model sees frames of a stored size: whole patches, by the long side or the pixel budget."""
    height, width = size
    if settings.long_side is None:
        return fitted_size(width / height, settings.pixel_budget, patch=patch)
    pixels = settings.long_side**2 * min(size) / max(size)
    return fitted_size(width / height, pixels, patch=patch, most_pixels=2 * max(round(pixels), patch**2))


def predict_clip(
    model: Network,
    frames: np.ndarray,
    chosen: ChosenTracks | None,
    settings: EvaluationSettings,
    *,
    size: tuple[int, int],
    precision: ForwardPrecision = "float32",
    geometry: KnownGeometry | None = None,
) -> Prediction:
    """Predict what a protocol measures.

    Tracks that are asked for in other frames than the first come from one pass for each such frame, in which it is put first: π³ and
    TrajVG see frames without an order but for which one is first, so their geometry is the same in all passes.

    Args:
        frames: uint8 "T H W 3", as stored.
        chosen: the tracks to ask for, by queries in pixels of `size`.
        size: (H, W) of the frames as the model sees them.
    Raises: as `predict`.
    """
    resized = resize_frames(frames, size)

    def run(images: np.ndarray, queries: np.ndarray | None) -> Prediction:
        return predict(model, images, queries, precision=precision, geometry=geometry)

    if SINGLE_IMAGES in settings.protocols:
        return _stacked([run(image[None], None) for image in resized])
    if chosen is None or not chosen.frames.any():
        return run(resized, None if chosen is None else chosen.queries)
    return _from_own_frames(run, resized, chosen)


def _stacked(images: list[Prediction]) -> Prediction:
    """Predictions of single images as one of all; their worlds have nothing to do with one another."""
    return Prediction(
        frames=np.concatenate([image.frames for image in images]),
        points=np.concatenate([image.points for image in images]),
        local_points=np.concatenate([image.local_points for image in images]),
        confidence=np.concatenate([image.confidence for image in images]),
        camera_to_world=np.concatenate([image.camera_to_world for image in images]),
    )


def _from_own_frames(run: Predict, frames: np.ndarray, chosen: ChosenTracks) -> Prediction:
    passes = []
    for first in np.unique(chosen.frames):
        order = np.array([first, *np.delete(np.arange(len(frames)), first)])
        asked = chosen.frames == first
        passes.append((asked, _reordered(run(frames[order], chosen.queries[asked]), np.argsort(order))))
    whole = passes[0][1]
    if whole.tracks is None:
        return whole
    shape = (len(frames), len(chosen.index))
    camera, score = np.empty((*shape, 3), np.float32), np.empty(shape, np.float32)
    for asked, prediction in passes:
        assert prediction.tracks is not None, "a model that tracks does so in every pass"
        camera[:, asked], score[:, asked] = prediction.tracks.camera, prediction.tracks.visibility_score
    poses = whole.camera_to_world
    world = np.einsum("tij,tnj->tni", poses[:, :3, :3], camera) + poses[:, None, :3, 3]
    tracks = PredictedTracks(queries=chosen.queries, world=world.astype(np.float32), camera=camera, visibility_score=score)
    return replace(whole, tracks=tracks)


def _reordered(prediction: Prediction, order: np.ndarray) -> Prediction:
    names = ("frames", "points", "local_points", "confidence", "camera_to_world", "camera_found")
    arrays = {name: array[order] for name in names if (array := getattr(prediction, name)) is not None}
    tracks = prediction.tracks
    if tracks is not None:
        along = ("world", "camera", "visibility_score")
        arrays["tracks"] = replace(tracks, **{name: getattr(tracks, name)[order] for name in along})
    return replace(prediction, **arrays)
