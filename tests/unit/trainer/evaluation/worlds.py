"""A clip whose truth is known in closed form, and predictions of it that are right, or wrong in a known way."""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.records import ClipSample
from trainer.inference import PredictedTracks, Prediction

T, H, W, N = 4, 28, 42, 20
INTRINSICS = np.array([[40, 0, 20.5], [0, 40, 13.5], [0, 0, 1]], np.float32)


def true_sample(**changes: Any) -> ClipSample:
    """A wavy wall seen by a camera that moves on a curve; tracks are points of the first frame, fixed in the world."""
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (T, 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(np.outer(np.arange(T), [0.01, 0.03, 0.0])).as_matrix()
    poses[:, :3, 3] = [[0, 0, 0], [0.2, 0, 0.1], [0.5, 0.1, 0.1], [0.7, 0.3, 0.0]]
    y, x = np.mgrid[:H, :W]
    depth = np.stack([5 + np.sin(x / 7 + t) + 0.5 * np.cos(y / 5) for t in range(T)]).astype(np.float32)
    pixels = np.stack([rng.integers(0, W, N), rng.integers(0, H, N)], axis=1)
    rays = np.concatenate([pixels, np.ones((N, 1))], axis=1) @ np.linalg.inv(INTRINSICS).T
    world = rays * depth[0, pixels[:, 1], pixels[:, 0], None]
    camera = np.stack([(world - pose[:3, 3]) @ pose[:3, :3] for pose in poses])
    projected = camera @ INTRINSICS.T
    fields: dict[str, Any] = {
        "key": "clip",
        "source": "wall",
        "split": "test",
        "index": 0,
        "frames": np.zeros((T, H, W, 3), np.uint8),
        "frame_indices": np.arange(T),
        "frame_times": np.arange(T) / 10,
        "supervision": "metric",
        "is_metric": True,
        "depth": depth,
        "intrinsics": np.tile(INTRINSICS, (T, 1, 1)),
        "camera_to_world": poses.astype(np.float32),
        "tracks2d": (projected[..., :2] / projected[..., 2:]).astype(np.float32),
        "tracks3d": camera.astype(np.float32),
        "visibility": rng.random((T, N)) < 0.8,
        "track_valid": np.ones((T, N), bool),
    }
    fields["visibility"][0] = True
    return ClipSample(**{**fields, **changes})


def perfect(sample: ClipSample, *, scale: float = 1.0, turn: Rotation | None = None) -> Prediction:
    """The truth of `true_sample` in another world, turned, and in another unit."""
    assert sample.depth is not None
    assert sample.camera_to_world is not None
    assert sample.tracks3d is not None
    assert sample.visibility is not None
    turn = turn or Rotation.identity()
    poses = sample.camera_to_world.astype(np.float64)
    poses[:, :3, :3] = turn.as_matrix() @ poses[:, :3, :3]
    poses[:, :3, 3] = scale * turn.apply(poses[:, :3, 3]) + [3, 2, 1]
    y, x = np.mgrid[:H, :W]
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(INTRINSICS).T
    local = scale * rays * sample.depth[..., None]
    points = np.einsum("tij,thwj->thwi", poses[:, :3, :3], local) + poses[:, None, None, :3, 3]
    camera = scale * sample.tracks3d
    world = np.einsum("tij,tnj->tni", poses[:, :3, :3], camera) + poses[:, None, :3, 3]
    tracks = PredictedTracks(
        queries=np.zeros((N, 2), np.float32),
        world=world.astype(np.float32),
        camera=camera.astype(np.float32),
        visibility_score=np.where(sample.visibility, np.float32(0.9), np.float32(0.1)),
    )
    return Prediction(
        frames=sample.frames,
        points=points.astype(np.float32),
        local_points=local.astype(np.float32),
        confidence=np.ones((T, H, W), np.float32),
        camera_to_world=poses.astype(np.float32),
        tracks=tracks,
    )


def with_tracks(prediction: Prediction, **changes: Any) -> Prediction:
    """The same prediction with other tracks."""
    assert prediction.tracks is not None
    return replace(prediction, tracks=replace(prediction.tracks, **changes))
