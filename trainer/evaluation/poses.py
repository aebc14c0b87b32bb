"""Camera poses of a clip against the true ones."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.metrics import (
    RelativePoseErrors,
    TrajectoryMetrics,
    draw_frames,
    relative_pose_errors,
    relative_pose_scores,
    trajectory_metrics,
)
from pipeline.records import ClipSample


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
