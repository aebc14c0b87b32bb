"""Point maps of a clip against true depth seen by true cameras."""

from dataclasses import dataclass

import numpy as np

from pipeline.metrics import PointMapMetrics, point_map_metrics
from pipeline.records import ClipSample
from pipeline.records.pixel_transforms import resize_intrinsics, resize_nearest


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TruePoints:
    """Points of K frames at the model's size."""

    frames: np.ndarray  # int64 "K": which of the clip's
    points: np.ndarray  # float64 "K H W 3", in the clip's world; meaningless outside the mask
    mask: np.ndarray  # bool "K H W"


def true_points(sample: ClipSample, size: tuple[int, int], *, num_frames: int, max_points: int) -> TruePoints | None:
    """Points of `num_frames` frames spread over those with a pose, of at most `max_points` pixels on an even grid.

    Each takes the nearest stored depth, so that none lies between two surfaces. None if no pixel of these frames has a depth.
    """
    assert sample.depth is not None, "points come from depth"
    assert sample.intrinsics is not None, "points come from cameras"
    assert sample.camera_to_world is not None, "points come from poses"
    known = np.arange(len(sample.frames)) if sample.pose_valid is None else np.flatnonzero(sample.pose_valid)
    if not len(known):
        return None
    frames = known[np.unique(np.linspace(0, len(known) - 1, num_frames).round().astype(np.int64))]
    depth = resize_nearest(sample.depth[frames], size).astype(np.float64)
    intrinsics = resize_intrinsics(sample.intrinsics[frames], sample.frames.shape[1:3], size).astype(np.float64)
    mask = (depth > 0) & np.isfinite(depth)
    step = max(1, int(np.ceil(np.sqrt(mask.sum() / max_points))))
    kept = np.zeros_like(mask)
    kept[:, step // 2 :: step, step // 2 :: step] = True
    mask &= kept
    if not mask.any():
        return None
    points = _world_points(np.where(mask, depth, 0.0), intrinsics, sample.camera_to_world[frames].astype(np.float64))
    return TruePoints(frames=frames, points=points, mask=mask)


def measure_points(predicted: np.ndarray, true: TruePoints, *, icp_distance: float | None) -> PointMapMetrics:
    """Accuracy, completion and normal consistency of predicted points "T H W 3", in any frame and scale."""
    return point_map_metrics(predicted[true.frames], true.points, mask=true.mask, icp_distance=icp_distance)


def _world_points(depth: np.ndarray, intrinsics: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    height, width = depth.shape[1:]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)  # "H W 3"
    rays = np.einsum("kij,hwj->khwi", np.linalg.inv(intrinsics), pixels)
    camera = rays * depth[..., None]
    return np.asarray(np.einsum("kij,khwj->khwi", camera_to_world[:, :3, :3], camera) + camera_to_world[:, None, None, :3, 3])
