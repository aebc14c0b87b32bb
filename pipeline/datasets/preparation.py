"""Clips with truth prepared for storage: in the world of their first camera, resized, their tracks completed and subsampled."""

import hashlib
from dataclasses import replace

import numpy as np

from pipeline.datasets.projection import NEAR_M, inside
from pipeline.datasets.tracks import first_frame_of
from pipeline.records.pixel_transforms import Crop
from pipeline.records.truth import TruthClip
from pipeline.records.views import crop, resize, take_tracks
from pipeline.video.encode import EncodePolicy


def to_first_camera(truth: TruthClip) -> TruthClip:
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


def resize_for_video(truth: TruthClip, long_side: int | None) -> TruthClip:
    """The clip at the size that its video is stored in. Both sides become even, as yuv420p needs it.

    Shrinking averages frames over the area of the new pixels; tracks, principal points and focal lengths follow by
    x -> (x + 0.5) s - 0.5; depth and masks take the nearest pixel. A clip that is small enough only loses its last row or column if
    there is an odd one: nothing moves. A clip that keeps its image files stays as it is.
    """
    if truth.images is not None:
        return truth
    height, width = truth.frames.shape[1:3]
    if long_side is not None and long_side < max(height, width):
        new_width, new_height = EncodePolicy(long_side=long_side).size(width, height)
        return resize(truth, (new_height, new_width))
    if height % 2 == 0 and width % 2 == 0:
        return truth
    even = crop(truth, Crop(left=0, top=0, width=width - width % 2, height=height - height % 2))
    return replace(even, frames=np.ascontiguousarray(even.frames))


def complete_tracks(truth: TruthClip) -> TruthClip:
    """The clip with tracks as they are stored.

    Not valid behind the camera; not visible where not valid or outside the image; a track that is never visible is dropped; each
    begins where its reader says, or at its first visible frame if it is not seen there.
    """
    if truth.tracks2d is None or truth.visibility is None or truth.track_valid is None or truth.query_frame is None:
        return truth
    valid = truth.track_valid if truth.tracks3d is None else truth.track_valid & (truth.tracks3d[..., 2] > NEAR_M)
    visible = truth.visibility & valid & inside(truth.tracks2d, truth.frames.shape[1:3])
    begins = np.where(visible[truth.query_frame, np.arange(visible.shape[1])], truth.query_frame, first_frame_of(visible))
    marked = replace(truth, visibility=visible, track_valid=valid, query_frame=begins.astype(np.int32))
    return take_tracks(marked, np.flatnonzero(visible.any(axis=0)))


def subsample_tracks(truth: TruthClip, most: int | None, key: str) -> TruthClip:
    """The clip with at most so many of its tracks, drawn by the clip's key; their order stays."""
    if most is None or truth.tracks2d is None or truth.tracks2d.shape[1] <= most:
        return truth
    digest = hashlib.sha256(f"tracks:{key}".encode()).digest()
    drawn = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(truth.tracks2d.shape[1])[:most]
    return take_tracks(truth, np.sort(drawn))
