"""Dense tracks of a clip by the engine: chained from frame to frame, or of one frame's pixels to all frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labelers.track4world.chaining import (
    VISIBLE,
    Cells,
    ChainRule,
    ChainStep,
    FrameGeometry,
    chain_tracks,
    lift_pixels,
    place,
)
from labelers.track4world.cleaning import clean_mask
from labelers.track4world.engine import EncodedClip, Track4WorldEngine
from labelers.track4world.targets import ClipGeometry
from labelers.track4world.track_log import TrackLog
from networks.track4world.bundle import GeometryBundle, Padding
from networks.track4world.unprojection import unproject
from pipeline.errors import DataError
from pipeline.records.dense_tracks import DenseTracks

_UNSURE = "so nothing can be tracked: the geometry below the decoder is untrained or has failed, or all pixels were masked"


def chain_clip(
    engine: Track4WorldEngine,
    clip: EncodedClip,
    rule: ChainRule,
    *,
    dynamic: np.ndarray | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> DenseTracks:
    """Chained tracks of a clip, in its world, or in each frame's camera where poses are unknown.

    Of the flow no more than `pairs_at_once` pairs of frames are held, twice that with a round trip.

    Args:
        clip: by `engine.encode`, without copies.
        dynamic: bool "T H W", what moves; None where unknown.
        on_frame: called when a frame has been reached.
    Raises: DataError for a clip of one frame, or without a valid pixel.
    """
    num_frames = len(clip.geometry.points)
    if num_frames < 2:
        raise DataError("a clip of 1 frame has no tracks; 2 frames or more are needed")
    _check_valid(clip.geometry)
    masks = [None] * num_frames if dynamic is None else list(dynamic)
    frames = (frame_geometry(clip.geometry, t, masks[t]) for t in range(num_frames))
    steps = _watched(chain_steps(engine, clip, returns=rule.round_trip is not None), on_frame)
    return chain_tracks(frames, steps, rule, num_frames=num_frames)


def _watched(steps: Iterator[ChainStep], on_frame: Callable[[], None]) -> Iterator[ChainStep]:
    for step in steps:
        yield step
        on_frame()


def chain_steps(engine: Track4WorldEngine, clip: EncodedClip, *, returns: bool) -> Iterator[ChainStep]:
    """Steps between the neighbouring frames of a clip, with ways back if asked for, as they are looked at."""
    pairs = [(t, t + 1) for t in range(len(clip.geometry.points) - 1)]
    ways_back = _maps(engine, clip, [(end, start) for start, end in pairs], align=False) if returns else None
    for targets, score in _maps(engine, clip, pairs, align=True):
        yield ChainStep(targets=targets, score=score, returns=None if ways_back is None else next(ways_back)[0])


def frame_geometry(geometry: ClipGeometry, frame: int, dynamic: np.ndarray | None = None) -> FrameGeometry:
    """Points of one frame, made anew from depth by the clip's camera, and their clean mask."""
    points = _array(unproject(geometry.points[frame, 2] + geometry.camera.shift, geometry.intrinsics).permute(1, 2, 0))
    return FrameGeometry(
        points=points,
        clean=clean_mask(_array(geometry.valid[frame]), np.ascontiguousarray(points[..., 2]), dynamic),
        intrinsics=pixel_intrinsics(geometry),
        camera_to_world=None if geometry.camera_poses is None else _array(geometry.camera_poses[frame]),
    )


def pixel_intrinsics(geometry: ClipGeometry) -> np.ndarray:
    """The clip's camera as float32 "3 3" in pixels, integers at pixel centres."""
    height, width = geometry.points.shape[-2:]
    matrix = np.diag([width, height, 1.0]) @ geometry.intrinsics.double().numpy()
    matrix[:2, 2] -= 0.5
    return matrix.astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceRule:
    """Which pixels of which frame are tracked to all frames."""

    frame: int = 0
    every: int = 1  # pixels from one tracked pixel to the next
    visible: float = (
        VISIBLE  # score, visibility times confidence, above which a point inside the image, in front of the camera, counts as seen
    )


def track_reference(
    engine: Track4WorldEngine,
    frames: np.ndarray,
    bundle: GeometryBundle,
    rule: ReferenceRule,
    *,
    on_frame: Callable[[], None] = lambda: None,
) -> DenseTracks:
    """Tracks of one frame's pixels to all frames, forward and backward, hidden or not, in the clip's one world.

    Points are hybrid: the pixel of the 2D flow at the depth of the 3D flow, by the camera of the whole clip. In the reference itself they
    are that frame's points. Pixels that are not valid there are left out.

    Args:
        frames: uint8 "T H W 3".
        bundle: geometry of these frames.
        on_frame: called when a frame other than the reference has been reached.
    Raises: DataError for a clip of one frame, a reference outside of it or without a valid pixel.
    """
    num_frames, (height, width) = len(frames), frames.shape[1:3]
    geometry = ClipGeometry.of_bundle(bundle, Padding(height=height, width=width), num_frames)
    rows: dict[int, _Row] = {}
    queries, depth = _queries(geometry, rule)
    x, y = torch.from_numpy(queries).long().T
    for part in engine.track_frame(frames, rule.frame, bundle):
        for target, frame in enumerate(part.frames):
            maps = torch.cat([part.maps.pixels[target], part.maps.flow3d[target, 2:], part.maps.visconf[target]])
            values = _array(maps[:, y, x])
            rows[frame] = _Row(pixels=values[:2].T, depth=depth + values[2], score=values[3] * values[4])
            if frame != rule.frame:
                on_frame()
    rows[rule.frame] = _Row(pixels=queries, depth=depth, score=np.ones_like(depth))
    log = TrackLog((height, width))
    numbers, camera = log.begin(rule.frame, queries), pixel_intrinsics(geometry)
    for frame in range(num_frames):
        row, pose = rows[frame], None if geometry.camera_poses is None else _array(geometry.camera_poses[frame])
        inside = ((row.pixels >= -0.5) & (row.pixels <= np.array([width, height]) - 0.5)).all(axis=1)
        points = place(lift_pixels(row.pixels, row.depth, camera), pose)
        log.note(numbers, row.pixels, points, score=row.score, seen=inside & (row.depth > 0) & (row.score > rule.visible))
    return log.finish("camera" if geometry.camera_poses is None else "world")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Row:
    """N tracked pixels in one frame."""

    pixels: np.ndarray  # float32 "N 2"
    depth: np.ndarray  # float32 "N"
    score: np.ndarray  # float32 "N"


def _queries(geometry: ClipGeometry, rule: ReferenceRule) -> tuple[np.ndarray, np.ndarray]:
    """Tracked pixels of the reference, float32 "N 2", and their depth, float32 "N"."""
    num_frames, _, height, width = geometry.points.shape
    if not 0 <= rule.frame < num_frames:
        raise DataError(f"frame {rule.frame} is none of a clip of {num_frames} frames; frames are 0 to {num_frames - 1}")
    middles = Cells(size=(height, width), every=rule.every).middles()
    x, y = torch.from_numpy(middles).long().T
    valid = _array(geometry.valid[rule.frame, y, x])
    if not valid.any():
        raise DataError(f"frame {rule.frame}: none of the {len(valid)} pixels to be tracked is valid, {_UNSURE}")
    return middles[valid], _array(geometry.points[rule.frame, 2, y, x] + geometry.camera.shift)[valid]


def _maps(
    engine: Track4WorldEngine, clip: EncodedClip, pairs: list[tuple[int, int]], *, align: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Target pixels "H W 2" and score "H W" of pair after pair."""
    for maps in engine.track_pairs(clip, pairs, align=align):
        for pixels, visconf in zip(maps.pixels, maps.visconf, strict=True):
            yield _array(pixels.permute(1, 2, 0)), _array(visconf.prod(dim=0))


def _check_valid(geometry: ClipGeometry) -> None:
    if not bool(geometry.valid.any()):
        raise DataError(f"none of the clip's pixels is valid, {_UNSURE}")


def _array(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.cpu().numpy())
