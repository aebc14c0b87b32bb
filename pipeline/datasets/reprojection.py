"""Tracks of static points where a source has depth and poses, but no tracks."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.datasets.check_depth import on_surface
from pipeline.datasets.projection import NEAR_M, camera_from_world, inside, nearest, project, unproject, world_from_camera
from pipeline.datasets.tracks import first_frame_of
from pipeline.records.truth import TruthClip

_EDGE = 0.05  # a depth step of this share between a pixel and its neighbours: no surface to start on
_THROUGH = 0.2  # a point through which the camera sees in more than this share of its frames has moved away: it is not static
_CLEARLY = 3.0  # tolerances that the surface must lie behind a point for the camera to see through it


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Views:
    """Depth and cameras of T frames."""

    depth: np.ndarray  # "T H W"
    intrinsics: np.ndarray  # "T 3 3"
    camera_to_world: np.ndarray  # "T 4 4"
    pose_valid: np.ndarray  # bool "T"
    dynamic_mask: np.ndarray | None  # bool "T H W"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Starts:
    """Points of the world on which tracks start."""

    world: np.ndarray  # "N 3"
    frame: np.ndarray  # int "N"


def with_reprojected_tracks(truth: TruthClip, num_tracks: int) -> TruthClip:
    """The clip with tracks of static points, if it has depth, intrinsics and poses but no tracks, and `num_tracks` is positive.

    Points start on an even grid of pixels, half of them in the first valid frame and half in the middle one, where depth is known, has
    no edge, and nothing moves (by the dynamic mask, if there is one). They are unprojected, stand still in the world, and are
    projected into every frame. A point is visible where it is inside the image and |z - depth| < max(5 cm, 2 %). A point through which
    the camera sees in more than a fifth of its frames stood on something that moved, and is left out. Movers that no mask shows
    and that hide behind this test stay as an error: such tracks are for static scenes, and are marked `reprojection`.
    """
    views = _views(truth)
    if truth.tracks2d is not None or num_tracks == 0 or views is None:
        return truth
    valid_frames = np.flatnonzero(views.pose_valid)
    frames = np.unique([valid_frames[0], valid_frames[len(valid_frames) // 2]])
    starts = [_starts(views, int(frame), num_tracks // len(frames)) for frame in frames]
    world = np.concatenate([start.world for start in starts])
    return replace(truth, **_followed(views, _Starts(world=world, frame=np.concatenate([start.frame for start in starts]))))


def _views(truth: TruthClip) -> _Views | None:
    if truth.depth is None or truth.intrinsics is None or truth.camera_to_world is None or truth.pose_valid is None:
        return None
    if not truth.pose_valid.any():
        return None
    return _Views(
        depth=truth.depth,
        intrinsics=truth.intrinsics,
        camera_to_world=truth.camera_to_world,
        pose_valid=truth.pose_valid,
        dynamic_mask=truth.dynamic_mask,
    )


def _starts(views: _Views, frame: int, count: int) -> _Starts:
    here = slice(frame, frame + 1)
    grid = _grid(views.depth.shape[1:], count)[None]
    depth = nearest(views.depth[here], grid)[0].astype(np.float64)
    used = (depth > 0) & ~nearest(_edges(views.depth[frame])[None], grid)[0]
    if views.dynamic_mask is not None:
        used &= ~nearest(views.dynamic_mask[here], grid)[0]
    points = unproject(grid[:, used], depth[None, used], views.intrinsics[here])
    return _Starts(world=world_from_camera(points, views.camera_to_world[here])[0], frame=np.full(int(used.sum()), frame))


def _followed(views: _Views, starts: _Starts) -> dict[str, Any]:
    """The fields of TruthClip that the tracks fill."""
    poses = views.camera_to_world[_filled(views.pose_valid)]  # a lost frame borrows a pose: its points are not valid, but finite
    world = np.broadcast_to(starts.world, (len(poses), *starts.world.shape))
    camera = camera_from_world(world, poses)
    pixels = project(camera, views.intrinsics)
    z, depth = camera[..., 2], nearest(views.depth, pixels).astype(np.float64)
    valid = views.pose_valid[:, None] & (z > NEAR_M)
    compared = valid & inside(pixels, views.depth.shape[1:]) & (depth > 0)
    through = compared & (depth > z + _CLEARLY * np.maximum(0.05, 0.02 * z))
    static = through.sum(axis=0) <= _THROUGH * np.maximum(compared.sum(axis=0), 1)
    visible = compared & on_surface(z, depth)
    seen_at_start = visible[starts.frame, np.arange(len(starts.frame))]
    kept = static & seen_at_start
    return {
        "tracks2d": pixels[:, kept].astype(np.float32),
        "tracks3d": camera[:, kept].astype(np.float32),
        "tracks3d_world": world[:, kept].astype(np.float32),
        "visibility": visible[:, kept],
        "track_valid": valid[:, kept],
        "query_frame": first_frame_of(visible[:, kept]),
        "track_source": "reprojection",
    }


def _grid(size: tuple[int, int], count: int) -> np.ndarray:
    """About `count` pixels "N 2" on an even grid, at whole coordinates."""
    height, width = size
    rows = max(1, round(np.sqrt(count * height / width)))
    columns = max(1, count // rows)
    xs = ((np.arange(columns) + 0.5) * width / columns - 0.5).round()
    ys = ((np.arange(rows) + 0.5) * height / rows - 0.5).round()
    return np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)


def _edges(depth: np.ndarray) -> np.ndarray:
    """bool "H W": the depth steps, or is unknown, between the pixel and one of its four neighbours."""
    padded = np.pad(depth, 1, mode="edge")
    neighbours = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    step = np.abs(neighbours - depth).max(axis=0)
    return np.asarray((step > _EDGE * depth) | (neighbours == 0).any(axis=0))


def _filled(valid: np.ndarray) -> np.ndarray:
    """int "T": each frame's own index where it is valid, else that of the valid frame before it (after it, at the beginning)."""
    at = np.where(valid, np.arange(len(valid)), -1)
    return np.where(np.maximum.accumulate(at) >= 0, np.maximum.accumulate(at), int(np.argmax(valid)))
