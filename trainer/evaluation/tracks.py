"""Tracks in space against the true ones: in the camera of each frame, and in the world of the first."""

import numpy as np

from pipeline.metrics import Tapvid3dMetrics, Tracks3d, WorldTrackMetrics, evaluation_focal, tapvid3d_metrics, world_track_metrics
from pipeline.metrics.world_tracks import tracks_in_first_camera
from pipeline.records import ClipSample
from trainer.evaluation.queries import ChosenTracks
from trainer.inference.prediction import PredictedTracks


def measure_camera_tracks(predicted: PredictedTracks, sample: ClipSample, chosen: ChosenTracks, *, visible: float) -> Tapvid3dMetrics:
    """TAPVid-3D's AJ, APD and OA after its median scaling; thresholds are pixels at the true depth."""
    positions, seen, known = _truth(sample, chosen)
    truth = Tracks3d(positions=positions, visible=seen & known, valid=known)
    assert sample.intrinsics is not None, "thresholds need focal lengths"
    height, width = sample.frames.shape[1:3]
    focal = evaluation_focal(sample.intrinsics[:, 0, 0], sample.intrinsics[:, 1, 1], height=height, width=width)
    prediction = Tracks3d(positions=predicted.camera, visible=predicted.visibility_score > visible)
    return tapvid3d_metrics(truth, prediction, focal_px=focal)


def measure_world_tracks(predicted: np.ndarray, camera_to_world: np.ndarray, sample: ClipSample, chosen: ChosenTracks) -> WorldTrackMetrics:
    """WorldTrack's APD and end-point error after its median scaling, over tracks that are known in every frame.

    Args:
        predicted: "T N 3", in the camera of each frame.
        camera_to_world: predicted poses "T 4 4": tracks and cameras are judged together.
    """
    assert sample.camera_to_world is not None, "tracks reach the first camera by true poses"
    positions, _, known = _truth(sample, chosen)
    whole = known.all(axis=0) & np.isfinite(positions).all(axis=(0, 2))
    truth = tracks_in_first_camera(np.where(whole[:, None], positions, 0.0), sample.camera_to_world)
    return world_track_metrics(tracks_in_first_camera(predicted, camera_to_world), truth, tracks=whole)


def _truth(sample: ClipSample, chosen: ChosenTracks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions "T N 3", visible and known "T N" of the chosen tracks."""
    assert sample.tracks3d is not None, "tracks are measured where they are known"
    assert sample.visibility is not None, "tracks are measured where they are known"
    seen = sample.visibility[:, chosen.index]
    known = np.ones_like(seen) if sample.track_valid is None else sample.track_valid[:, chosen.index]
    return sample.tracks3d[:, chosen.index], seen, known
