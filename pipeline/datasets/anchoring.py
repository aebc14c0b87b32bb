"""The world of a clip: that of its first camera."""

from dataclasses import replace

import numpy as np

from pipeline.records.truth import TruthClip


def anchored(truth: TruthClip) -> TruthClip:
    """The clip in the world of its first valid camera: every pose and world point moved by the inverse of that pose.

    `meta["world_origin_frame"]` says which frame it is. A clip without cameras, or without a valid one, comes back as it is.
    """
    if truth.camera_to_world is None or truth.pose_valid is None or not truth.pose_valid.any():
        return truth
    first = int(np.argmax(truth.pose_valid))
    poses = truth.camera_to_world.astype(np.float64)
    moved = np.tile(np.eye(4), (len(poses), 1, 1))
    to_anchor = np.linalg.inv(poses[first])
    moved[truth.pose_valid] = to_anchor @ poses[truth.pose_valid]
    moved[first] = np.eye(4)  # exactly
    world = truth.tracks3d_world
    if world is not None:
        world = (world @ to_anchor[:3, :3].T + to_anchor[:3, 3]).astype(np.float32)
    return replace(truth, camera_to_world=moved.astype(np.float32), tracks3d_world=world, meta={**truth.meta, "world_origin_frame": first})
