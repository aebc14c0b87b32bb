"""A clip seen otherwise: fewer frames, fewer tracks, a crop at another size, a mirror. Cameras, depth and tracks follow the pixels."""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from pipeline.records import ClipSample
from pipeline.stream.resize import resize_intrinsics, resize_nearest, resize_points

PER_FRAME = (
    *("frames", "frame_indices", "frame_times", "tracks2d", "visibility", "visibility_score", "confidence", "track_valid", "frame_weights"),
    *("pose_signal", "tracks3d", "tracks3d_world", "intrinsics", "camera_to_world", "pose_valid", "depth", "sky_mask", "dynamic_mask"),
)
TRACKS_OVER_TIME = (
    *("tracks2d", "visibility", "visibility_score", "confidence", "track_valid", "frame_weights", "tracks3d", "tracks3d_world"),
)
PER_TRACK = ("query_frame", "track_weights", "static_score")
_MAPS = ("depth", "sky_mask", "dynamic_mask")
_MIRROR = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int


def take_frames(sample: ClipSample, frames: np.ndarray) -> ClipSample:
    """The clip in these frames, int64 "T", in this order; a frame may come more than once."""
    changes: dict[str, Any] = {name: getattr(sample, name)[frames] for name in PER_FRAME if getattr(sample, name) is not None}
    if sample.query_frame is not None:
        place = np.full(len(sample.frames) + 1, -1, np.int32)  # the last entry is for -1, a query in none of them
        place[frames[::-1]] = np.arange(len(frames), dtype=np.int32)[::-1]  # where a frame comes twice, the first time
        changes["query_frame"] = place[sample.query_frame]
    return replace(sample, **changes)


def take_tracks(sample: ClipSample, tracks: np.ndarray) -> ClipSample:
    """The clip with these tracks, int64 "N", in this order."""
    changes: dict[str, Any] = {name: getattr(sample, name)[:, tracks] for name in TRACKS_OVER_TIME if getattr(sample, name) is not None} | {
        name: getattr(sample, name)[tracks] for name in PER_TRACK if getattr(sample, name) is not None
    }
    return replace(sample, **changes)


def crop_and_resize(sample: ClipSample, crop: Crop, size: tuple[int, int]) -> ClipSample:
    """The clip within a rectangle, at another size.

    Colours are averaged where pixels shrink and interpolated where they grow; depth and masks take the nearest stored pixel.
    Tracks keep their visibility, wherever they end up.

    Args:
        size: (H, W).
    """
    rows, columns = slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)
    cropped = (crop.height, crop.width)
    changes: dict[str, Any] = {"frames": _resize_frames(sample.frames[:, rows, columns], size)}
    for name in _MAPS:
        if (maps := getattr(sample, name)) is not None:
            changes[name] = resize_nearest(maps[:, rows, columns], size)
    corner = np.array([crop.left, crop.top], np.float32)
    if sample.tracks2d is not None:
        changes["tracks2d"] = resize_points(sample.tracks2d - corner, cropped, size)
    if sample.intrinsics is not None:
        moved = sample.intrinsics.copy()
        moved[:, :2, 2] -= corner
        changes["intrinsics"] = resize_intrinsics(moved, cropped, size)
    return replace(sample, **changes)


def mirror(sample: ClipSample) -> ClipSample:
    """The clip in a mirror, left and right exchanged, and the world with it: x is negated in every camera and in the world.

    With M = diag(-1, 1, 1): points M X, rotations M R M, places M t; a pixel x becomes W - 1 - x, and so does the principal point.
    """
    last = sample.frames.shape[2] - 1
    changes: dict[str, Any] = {
        name: np.ascontiguousarray(getattr(sample, name)[:, :, ::-1]) for name in ("frames", *_MAPS) if getattr(sample, name) is not None
    }
    if sample.tracks2d is not None:
        changes["tracks2d"] = np.stack([last - sample.tracks2d[..., 0], sample.tracks2d[..., 1]], -1)
    for name in ("tracks3d", "tracks3d_world"):
        if (points := getattr(sample, name)) is not None:
            changes[name] = points @ _MIRROR
    if sample.intrinsics is not None:
        mirrored = sample.intrinsics.copy()
        mirrored[:, 0, 1] *= -1  # skew
        mirrored[:, 0, 2] = last - mirrored[:, 0, 2]
        changes["intrinsics"] = mirrored
    if sample.camera_to_world is not None:
        poses = sample.camera_to_world.copy()
        poses[:, :3, :3] = _MIRROR @ poses[:, :3, :3] @ _MIRROR
        poses[:, :3, 3] = poses[:, :3, 3] @ _MIRROR
        changes["camera_to_world"] = poses
    return replace(sample, **changes)


def _resize_frames(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    if frames.shape[1:3] == size:
        return np.ascontiguousarray(frames)
    shrinks = frames.shape[1] >= height and frames.shape[2] >= width
    resized = np.empty((len(frames), height, width, 3), np.uint8)
    for frame, target in zip(frames, resized, strict=True):
        cv2.resize(frame, (width, height), dst=target, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized
