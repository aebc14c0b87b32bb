"""WorldTrack's protocol: tracks and points of one clip in the world of its first camera, in metres, after an alignment."""

import zlib
from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.metrics.world_tracks import (
    dynamic_tracks,
    reconstruction_pixels,
    tracks_in_first_camera,
    world_point_metrics,
    world_track_metrics,
)
from pipeline.records import ClipSample
from trainer.evaluation.truth_metrics import ChosenTracks, Score, undefined_scores, world_points, world_to_camera
from trainer.inference.prediction import Prediction

SIM3 = ("sim3", "sim3_repository")  # of tracks: see `world_track_metrics`
_MEASURES = ("apd", "epe_m")
_POINTS = ("all", "dynamic")
WORLD_TRACK = tuple(f"world_track_{name}_{points}_{fit}" for fit in ("median", "sim3") for name in _MEASURES for points in _POINTS)
WORLD_RECONSTRUCTION = tuple(f"world_points_{name}_{fit}" for fit in ("median", "sim3") for name in _MEASURES)


def world_track_scores(prediction: Prediction, sample: ClipSample, chosen: ChosenTracks | None, *, sim3: str) -> Iterator[Score]:
    """APD and end-point error of tracks in all frames, hidden ones too: of all tracks, and of those that move, aligned by themselves.

    Positions count where they are known: in all frames of a clip whose record says so (`tracks_complete`), else a track counts if it
    is valid in all frames.

    Args:
        chosen: the true tracks that the model was asked for.
        sim3: which of SIM3 aligns, besides the median scale.
    """
    why = _no_tracks(prediction, sample, chosen)
    if why is not None or chosen is None or prediction.tracks is None:
        yield from undefined_scores(WORLD_TRACK, why or "the model tracks nothing")
        return
    truth, known = _true_tracks(sample, chosen)
    predicted = _in_first_camera(prediction.tracks.world, prediction.camera_to_world)
    moving = known & dynamic_tracks(truth)
    for points, tracks, nobody in (("all", known, "no track is known in all frames"), ("dynamic", moving, "no track moves")):
        for fit, alignment in (("median", "median_scale"), ("sim3", sim3)):
            metrics = world_track_metrics(predicted, truth, alignment=alignment, tracks=tracks)
            for name in _MEASURES:
                reason = metrics.undefined.get(name) if tracks.any() else nobody
                yield Score(f"world_track_{name}_{points}_{fit}", float(getattr(metrics, name)), reason)


def _no_tracks(prediction: Prediction, sample: ClipSample, chosen: ChosenTracks | None) -> str | None:
    if sample.extra.get("track_source") == "reprojection":
        return "tracks are made from depth"
    if chosen is None:
        return "no true tracks to ask for"
    if not sample.is_metric:
        return "the truth is not in metres"
    if sample.camera_to_world is None or (sample.pose_valid is not None and not sample.pose_valid.all()):
        return "not every frame has a true pose"
    return "the model tracks nothing" if prediction.tracks is None else None


def _true_tracks(sample: ClipSample, chosen: ChosenTracks) -> tuple[np.ndarray, np.ndarray]:
    """Positions "T N 3" in the first camera, and bool "N": known in all frames; 0 where not."""
    assert sample.tracks3d is not None, "tracks were chosen among those known in space"
    assert sample.camera_to_world is not None, "tracks reach the first camera by true poses"
    positions = sample.tracks3d[:, chosen.index]
    known = np.asarray(np.isfinite(positions).all(axis=(0, 2)))
    if sample.track_valid is not None and not sample.extra.get("tracks_complete"):
        known &= sample.track_valid[:, chosen.index].all(axis=0)
    return tracks_in_first_camera(np.where(known[:, None], positions, 0.0), sample.camera_to_world), known


def world_reconstruction_scores(prediction: Prediction, sample: ClipSample, *, seed: int) -> Iterator[Score]:
    """APD and end-point error of point maps, resized bilinearly to the truth's pixels, over the true depths in range of all frames.

    Frames whose true pose is not known are left out. RANSAC draws by `seed` and the clip's key.
    """
    why = _no_points(sample)
    points = None if why is not None else _points(prediction, sample)
    if points is None or not len(points[0]):
        yield from undefined_scores(WORLD_RECONSTRUCTION, why or "no true depth is in range")
        return
    generator = np.random.default_rng([seed, zlib.crc32(sample.key.encode())])
    for fit, alignment in (("median", "median_scale"), ("sim3", "sim3_ransac")):
        metrics = world_point_metrics(*points, alignment=alignment, generator=generator)
        for name in _MEASURES:
            yield Score(f"world_points_{name}_{fit}", float(getattr(metrics, name)), metrics.undefined.get(name))


def _no_points(sample: ClipSample) -> str | None:
    if sample.depth is None:
        return "no true depth"
    if sample.intrinsics is None or sample.camera_to_world is None:
        return "no true cameras"
    if not sample.is_metric:
        return "the truth is not in metres"
    known = sample.pose_valid is None or bool(sample.pose_valid[0])
    return None if known else "the first frame has no true pose"


def _points(prediction: Prediction, sample: ClipSample) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true points "K 3" of all pixels that count, each in its first camera. Frame by frame: a clip has millions."""
    assert sample.depth is not None, "points come from depth"
    assert sample.intrinsics is not None, "points come from cameras"
    assert sample.camera_to_world is not None, "points come from poses"
    height, width = sample.depth.shape[1:]
    to_first = world_to_camera(sample.camera_to_world[:1])[0]
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for frame in range(len(sample.depth)) if sample.pose_valid is None else np.flatnonzero(sample.pose_valid):
        here = slice(frame, frame + 1)
        counted = reconstruction_pixels(sample.depth[frame])
        pose = to_first @ sample.camera_to_world[here].astype(np.float64)
        true = world_points(sample.depth[here].astype(np.float64), sample.intrinsics[here].astype(np.float64), pose)[0]
        resized = cv2.resize(prediction.points[frame], (width, height), interpolation=cv2.INTER_LINEAR)
        found[0].append(resized[counted])
        found[1].append(true[counted])
    predicted, truth = (np.concatenate(part) for part in found)
    return _in_first_camera(predicted[None], prediction.camera_to_world)[0], truth


def _in_first_camera(points: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    """Predicted points "T N 3" of the world in the predicted camera of frame 0, float64."""
    to_first = world_to_camera(camera_to_world[:1])[0]
    return np.asarray(points.astype(np.float64) @ to_first[:3, :3].T + to_first[:3, 3])
