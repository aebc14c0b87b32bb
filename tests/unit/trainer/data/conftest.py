"""Clips of a wall and points before it, with exact cameras; and the stream's hand-made datasets."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.records import ClipSample


def _stream_fixtures() -> Any:
    path = Path(__file__).parents[2] / "pipeline" / "stream" / "conftest.py"
    spec = importlib.util.spec_from_file_location("stream_fixtures", path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_STREAM = _stream_fixtures()
_make_root, _label, _audit = _STREAM._make_root, _STREAM._label, _STREAM._audit  # fixtures make_root, label, audit

T, H, W, WALL_M = 6, 60, 80, 5.0


def _turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def project(points_world: np.ndarray, intrinsics: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    """Pixels "T N 2" of points "T N 3"."""
    from_world = np.linalg.inv(camera_to_world.astype(np.float64))
    camera = points_world @ from_world[:, :3, :3].mT + from_world[:, None, :3, 3]
    image = camera @ intrinsics.astype(np.float64).mT
    return image[..., :2] / image[..., 2:]


def make_clip(*, num_tracks: int = 40, pseudo: bool = False, **changes: Any) -> ClipSample:
    """A camera that moves along a slanted wall and turns; every point of the wall is as red as it lies right in the world."""
    intrinsics = np.tile(np.array([[70.0, 1.5, 36.0], [0, 66.0, 31.0], [0, 0, 1]]), (T, 1, 1))
    poses = np.tile(np.eye(4), (T, 1, 1))
    poses[:, :3, :3] = [_turn(2.0 * t) for t in range(T)]
    poses[:, :3, 3] = [[0.15 * t, 0.02 * t, 0.1] for t in range(T)]
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(intrinsics[0]).T
    world_rays = np.einsum("tij,hwj->thwi", poses[:, :3, :3], rays)
    depth = (WALL_M - poses[:, 2, 3])[:, None, None] / (world_rays[..., 2] - 0.3 * world_rays[..., 0])
    depth = depth + 0.3 * poses[:, 0, 3][:, None, None] / (world_rays[..., 2] - 0.3 * world_rays[..., 0])
    world = poses[:, None, None, :3, 3] + depth[..., None] * world_rays  # z = WALL_M + 0.3 x
    red = np.clip(128 + 40 * world[..., :1], 0, 255)
    start = np.random.default_rng(1).uniform([5, 5], [W - 6, H - 6], (num_tracks, 2))
    on_wall = np.stack([np.interp(start[:, 0], [0, W - 1], [-2.0, 2.0]), np.interp(start[:, 1], [0, H - 1], [-1.5, 1.5])], -1)
    points = np.concatenate([on_wall, WALL_M + 0.3 * on_wall[:, :1]], -1)
    tracks_world = np.tile(points, (T, 1, 1))
    tracks = project(tracks_world, intrinsics, poses)
    inside = ((tracks > -0.5) & (tracks < [W - 0.5, H - 0.5])).all(-1)
    truth = {
        "intrinsics": intrinsics.astype(np.float32),
        "camera_to_world": poses.astype(np.float32),
        "depth": depth.astype(np.float32),
        "tracks3d_world": tracks_world.astype(np.float32),
        "is_metric": True,
    }
    fields = {
        "key": "clip-a", "source": "a.mp4", "split": "train", "index": 7, "dataset": "walls", "license": "CC0",
        "frames": np.broadcast_to(red, (T, H, W, 3)).round().astype(np.uint8),
        "frame_indices": np.arange(T), "frame_times": np.arange(T) / 10.0, "supervision": "pseudo" if pseudo else "metric",
        "tracks2d": tracks.astype(np.float32), "visibility": inside, "query_frame": np.zeros(num_tracks, np.int32),
        **({} if pseudo else truth), **changes,
    }  # fmt: skip
    return ClipSample(**fields)


@pytest.fixture(name="make_clip")
def _make_clip() -> Callable[..., ClipSample]:
    """make_clip(num_tracks=40, pseudo=False, **fields of ClipSample)."""
    return make_clip


@pytest.fixture(name="project")
def _project() -> Callable[..., np.ndarray]:
    """project(points_world, intrinsics, camera_to_world) -> pixels."""
    return project
