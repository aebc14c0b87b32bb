"""Filming a staged clip: frames and their full truth."""

from dataclasses import dataclass

import numpy as np

from pipeline.records.truth import TruthClip
from pipeline.synthetic.filming.frames import FrameMaker
from pipeline.synthetic.filming.imaging import develop
from pipeline.synthetic.staging import ClipRequest, StagedClip, stage
from pipeline.synthetic.truth import choose_queries, follow

LICENSE = "CC0 (synthetic, rendered by trackmill)"
_NOISE, _QUERIES = 1000, 1001  # parts of a clip's draws, beyond any attempt at staging it
_NEAR_M = 0.05  # points that are nearer than this, or behind the camera, have no usable place in the image


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _RecordedClip:
    """Recorded frames, and the truth per pixel."""

    frames: np.ndarray  # uint8 "T H W 3"
    depth: np.ndarray  # float32 "T H W"
    dynamic: np.ndarray  # bool "T H W"


def film(request: ClipRequest, *, num_tracks: int, window: range | None = None) -> TruthClip:
    """Stage and film one clip, or a window of its frames. Equal arguments give equal bytes.

    The tracks begin in frames of the window, evenly over it; the world's origin is its first camera.
    Raises: DataError if no draw of this clip can be filmed; ConfigError if the `synthetic` extra is not installed.
    """
    return film_staged(request, stage(request), num_tracks=num_tracks, window=window)


def film_staged(request: ClipRequest, staged: StagedClip, *, num_tracks: int, window: range | None = None) -> TruthClip:
    """Film the result of `stage(request)`, or that with another camera or other courses (and a tracer made for it)."""
    scene, window = staged.scene, window or range(request.num_frames)
    maker = FrameMaker(scene, staged.illumination, staged.tracer)
    shot = _shoot(request, staged, maker, window)
    queries = choose_queries(shot.depth, shot.dynamic, num_tracks=num_tracks, rng=request.rng(_QUERIES, window.start))
    query_frame = queries[:, 0].astype(np.int32)
    queries[:, 0] += window.start
    tracks = follow(scene, queries, geometry=staged.tracer.geometry, place=maker.placed.__getitem__)
    taken = slice(window.start, window.stop)
    poses = _anchored(scene.camera_to_world[taken])
    return TruthClip(
        frames=shot.frames,
        frame_times=np.arange(len(window)) / scene.fps,
        intrinsics=np.tile(scene.intrinsics, (len(window), 1, 1)).astype(np.float32),
        camera_to_world=poses.astype(np.float32),
        pose_valid=np.ones(len(window), bool),
        depth=shot.depth,
        sky_mask=shot.depth == 0,
        dynamic_mask=shot.dynamic,
        tracks2d=tracks.tracks_px[taken],
        tracks3d=tracks.tracks3d[taken],
        tracks3d_world=_to_world(poses, tracks.tracks3d[taken]),
        visibility=tracks.visibility[taken],
        track_valid=tracks.tracks3d[taken, :, 2] > _NEAR_M,
        query_frame=query_frame,
        is_metric=True,
        track_source="gt",
        depth_source="render",
        license=LICENSE,
        meta=_meta(request, staged),
    )


def _shoot(request: ClipRequest, staged: StagedClip, maker: FrameMaker, window: range) -> _RecordedClip:
    size = (len(window), staged.scene.height, staged.scene.width)
    shot = _RecordedClip(frames=np.empty((*size, 3), np.uint8), depth=np.empty(size, np.float32), dynamic=np.empty(size, bool))
    for at, frame in enumerate(window):
        linear = maker.make(frame)
        shot.depth[at], shot.dynamic[at] = linear.depth, linear.dynamic
        shot.frames[at] = develop(linear, staged.imaging, frame, rng=request.rng(_NOISE, frame))
    return shot


def _anchored(camera_to_world: np.ndarray) -> np.ndarray:
    """Poses "T 4 4" in the world of the first camera."""
    poses = np.linalg.inv(camera_to_world[0]) @ camera_to_world
    poses[0] = np.eye(4)
    return np.asarray(poses)


def _to_world(poses: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points "T N 3" of each frame's camera in the world, float32."""
    turned = np.einsum("tij,tnj->tni", poses[:, :3, :3], points.astype(np.float64))
    return (turned + poses[:, None, :3, 3]).astype(np.float32)


def _meta(request: ClipRequest, staged: StagedClip) -> dict[str, object]:
    return {
        "dataset": f"synthetic-{request.domain.name}",
        "domain": request.domain.name,
        "truth_for": request.domain.truth_for,
        "orig_size": list(request.size),
        "seed": request.seed,
        "clip": request.number,
        **staged.notes,
    }
