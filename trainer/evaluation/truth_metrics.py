"""Metrics of one clip against its truth: camera poses, point maps and tracks, and the choice of true tracks to query."""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.metrics import (
    PointMapMetrics,
    RelativePoseErrors,
    Tapvid3dMetrics,
    Tracks3d,
    TrajectoryMetrics,
    WorldTrackMetrics,
    draw_frames,
    evaluation_focal,
    point_map_metrics,
    relative_pose_errors,
    relative_pose_scores,
    tapvid3d_metrics,
    trajectory_metrics,
    world_track_metrics,
)
from pipeline.metrics.world_tracks import tracks_in_first_camera
from pipeline.records import ClipSample
from pipeline.records.pixel_transforms import resize_intrinsics, resize_nearest, resize_points
from trainer.families.protocol import KnownGeometry
from trainer.inference.prediction import PredictedTracks


@dataclass(frozen=True, slots=True)
class Score:
    """One value, and the reason if it is NaN."""

    name: str
    value: float
    why: str | None = None


def undefined_scores(names: Iterable[str], why: str) -> list[Score]:
    """NaN under each of the names, for one reason."""
    return [Score(name, math.nan, why) for name in names]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChosenTracks:
    """N true tracks, each seen in the frame that it is asked for in."""

    index: np.ndarray  # int64 "N": rows of the sample's tracks
    queries: np.ndarray  # float32 "N 2", (x, y) in pixels of that frame as the model sees it
    frames: np.ndarray  # int64 "N": that frame


def choose_tracks(sample: ClipSample, size: tuple[int, int], *, at_most: int | None, queries: str = "first") -> ChosenTracks | None:
    """True tracks to query; None where the clip has no 3D tracks, or none is known and visible within the frame it is asked for in.

    Args:
        size: (H, W) of the frames as the model sees them.
        at_most: more tracks than these are thinned evenly, in their order; None: all.
        queries: "first" asks in the first frame; "own" in each track's query frame, and leaves out tracks without one.
    """
    if sample.tracks3d is None or sample.tracks2d is None or sample.visibility is None:
        return None
    num_frames, num_tracks = sample.visibility.shape
    asked = sample.query_frame if queries == "own" and sample.query_frame is not None else np.zeros(num_tracks, np.int64)
    at = np.clip(asked.astype(np.int64), 0, num_frames - 1), np.arange(num_tracks)
    height, width = sample.frames.shape[1:3]
    x, y = sample.tracks2d[at].T
    known = (asked >= 0) & (sample.visibility[at] if sample.track_valid is None else sample.visibility[at] & sample.track_valid[at])
    index = np.flatnonzero(known & (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5))
    if not len(index):
        return None
    if at_most is not None and len(index) > at_most:
        index = index[np.linspace(0, len(index) - 1, at_most).round().astype(np.int64)]
    frames = at[0][index]
    return ChosenTracks(index=index, queries=resize_points(sample.tracks2d[frames, index], (height, width), size), frames=frames)


def known_geometry(sample: ClipSample, size: tuple[int, int]) -> KnownGeometry | None:
    """Depth and cameras of a clip at the model's size (H, W); None where not every frame has both.

    Each pixel takes the nearest stored depth.
    """
    if sample.depth is None or sample.intrinsics is None or sample.camera_to_world is None:
        return None
    depth = resize_nearest(sample.depth, size)
    if not (depth > 0).any(axis=(1, 2)).all() or not (sample.pose_valid is None or sample.pose_valid.all()):
        return None
    intrinsics = resize_intrinsics(sample.intrinsics, sample.frames.shape[1:3], size)
    arrays = {"depth": depth, "intrinsics": intrinsics, "camera_to_world": sample.camera_to_world}
    return KnownGeometry(**{name: torch.from_numpy(np.ascontiguousarray(array, np.float32))[None] for name, array in arrays.items()})


def measure_trajectory(camera_to_world: np.ndarray, sample: ClipSample) -> TrajectoryMetrics:
    """ATE and RPE after a similarity, over the frames whose pose is known."""
    return trajectory_metrics(camera_to_world, _true_poses(sample), valid=sample.pose_valid)


def measure_relative_poses(camera_to_world: np.ndarray, sample: ClipSample, *, count: int, seed: int) -> RelativePoseErrors | None:
    """Angular errors between `count` frames, drawn by seed and key, or all frames with a pose if there are fewer; None below two."""
    true = _true_poses(sample)
    known = np.arange(len(true)) if sample.pose_valid is None else np.flatnonzero(sample.pose_valid)
    if len(known) < 2:
        return None
    rng = np.random.default_rng([seed, zlib.crc32(sample.key.encode())])
    drawn = known[draw_frames(len(known), rng, count=min(count, len(known)))]
    return relative_pose_errors(world_to_camera(camera_to_world[drawn]), world_to_camera(true[drawn]))


def pair_values(errors: Sequence[RelativePoseErrors]) -> Mapping[str, float]:
    """RRA, RTA and AUC at 30 degrees, the pairs of all clips together; NaN where there is none."""
    scores = relative_pose_scores(errors, thresholds_deg=(30,))
    return {"rra_30": scores.rra[30], "rta_30": scores.rta[30], "auc_30": scores.auc[30]}


def world_to_camera(camera_to_world: np.ndarray) -> np.ndarray:
    """Inverses of rigid "T 4 4", float64."""
    poses = camera_to_world.astype(np.float64)
    inverse = np.tile(np.eye(4), (len(poses), 1, 1))
    inverse[:, :3, :3] = poses[:, :3, :3].swapaxes(1, 2)
    inverse[:, :3, 3] = -(inverse[:, :3, :3] @ poses[:, :3, 3, None])[..., 0]
    return inverse


def _true_poses(sample: ClipSample) -> np.ndarray:
    assert sample.camera_to_world is not None, "poses are measured where they are known"
    return sample.camera_to_world


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TruePoints:
    """Points of K frames at the model's size."""

    frames: np.ndarray  # int64 "K": which of the clip's
    points: np.ndarray  # float64 "K H W 3", in the clip's world; meaningless outside the mask
    mask: np.ndarray  # bool "K H W"


def true_points(sample: ClipSample, size: tuple[int, int], *, num_frames: int | None, max_points: int | None) -> TruePoints | None:
    """Points of `num_frames` frames spread over those with a pose, of at most `max_points` pixels on an even grid; None: all.

    Each takes the nearest stored depth, so that none lies between two surfaces. None if no pixel of these frames has a depth.
    """
    assert sample.depth is not None, "points come from depth"
    assert sample.intrinsics is not None, "points come from cameras"
    assert sample.camera_to_world is not None, "points come from poses"
    known = np.arange(len(sample.frames)) if sample.pose_valid is None else np.flatnonzero(sample.pose_valid)
    if not len(known):
        return None
    frames = known[np.unique(np.linspace(0, len(known) - 1, num_frames or len(known)).round().astype(np.int64))]
    depth = resize_nearest(sample.depth[frames], size).astype(np.float64)
    intrinsics = resize_intrinsics(sample.intrinsics[frames], sample.frames.shape[1:3], size).astype(np.float64)
    mask = (depth > 0) & np.isfinite(depth)
    step = 1 if max_points is None else max(1, int(np.ceil(np.sqrt(mask.sum() / max_points))))
    kept = np.zeros_like(mask)
    kept[:, step // 2 :: step, step // 2 :: step] = True
    mask &= kept
    if not mask.any():
        return None
    points = world_points(np.where(mask, depth, 0.0), intrinsics, sample.camera_to_world[frames].astype(np.float64))
    return TruePoints(frames=frames, points=points, mask=mask)


def measure_points(predicted: np.ndarray, true: TruePoints, *, icp_distance: float | None) -> PointMapMetrics:
    """Accuracy, completion and normal consistency of predicted points "T H W 3", in any frame and scale."""
    return point_map_metrics(predicted[true.frames], true.points, mask=true.mask, icp_distance=icp_distance)


def world_points(depth: np.ndarray, intrinsics: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    """Points "K H W 3" in the world, of depth "K H W" along z, by matrices "K 3 3" and poses "K 4 4"; float64."""
    height, width = depth.shape[1:]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)  # "H W 3"
    rays = np.einsum("kij,hwj->khwi", np.linalg.inv(intrinsics), pixels)
    camera = rays * depth[..., None]
    return np.asarray(np.einsum("kij,khwj->khwi", camera_to_world[:, :3, :3], camera) + camera_to_world[:, None, None, :3, 3])


def measure_camera_tracks(predicted: PredictedTracks, sample: ClipSample, chosen: ChosenTracks, *, visible: float) -> Tapvid3dMetrics:
    """TAPVid-3D's AJ, APD and OA after its median scaling; thresholds are pixels at the true depth."""
    positions, seen, known = true_tracks(sample, chosen)
    truth = Tracks3d(positions=positions, visible=seen & known, valid=known)
    assert sample.intrinsics is not None, "thresholds need focal lengths"
    height, width = sample.frames.shape[1:3]
    focal = evaluation_focal(sample.intrinsics[:, 0, 0], sample.intrinsics[:, 1, 1], height=height, width=width)
    prediction = Tracks3d(positions=predicted.camera, visible=predicted.visibility_score > visible)
    return tapvid3d_metrics(truth, prediction, focal_px=focal)


def measure_world_tracks(predicted: np.ndarray, sample: ClipSample, chosen: ChosenTracks) -> WorldTrackMetrics:
    """WorldTrack's APD and end-point error after its median scaling, over tracks that are known in every frame, in truth and prediction.

    Args:
        predicted: "T N 3", in the camera of the first frame: by predicted poses, so that tracks and cameras are judged together.
    """
    assert sample.camera_to_world is not None, "tracks reach the first camera by true poses"
    positions, _, known = true_tracks(sample, chosen)
    whole = known.all(axis=0) & np.isfinite(positions).all(axis=(0, 2)) & np.isfinite(predicted).all(axis=(0, 2))
    truth = tracks_in_first_camera(np.where(whole[:, None], positions, 0.0), sample.camera_to_world)
    return world_track_metrics(predicted, truth, tracks=whole)


def true_tracks(sample: ClipSample, chosen: ChosenTracks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions "T N 3", visible and known "T N" of the chosen tracks."""
    assert sample.tracks3d is not None, "tracks are measured where they are known"
    assert sample.visibility is not None, "tracks are measured where they are known"
    seen = sample.visibility[:, chosen.index]
    known = np.ones_like(seen) if sample.track_valid is None else sample.track_valid[:, chosen.index]
    return sample.tracks3d[:, chosen.index], seen, known
