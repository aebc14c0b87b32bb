"""What a clip's arrays member knows (cameras, depth, true tracks), added to a sample."""

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.records import ClipRecord, ClipSample
from pipeline.records.npz import clip_shapes, read_npz
from pipeline.stream.config import StreamConfig
from pipeline.stream.resize import Size, resize_intrinsics, resize_nearest, resize_points
from pipeline.stream.tracks import frames_in_window

MEMBER = "arrays.npz"
_PURPOSE, _EVALUATION = "truth_for", "evaluation"  # what a clip's record says of its truth

# Fields of ClipSample that the member may hold, at the clip's stored length and size; other names are left alone.
_TRACKS = ("tracks2d", "tracks3d", "tracks3d_world", "visibility", "visibility_score", "confidence", "track_valid")
_CAMERAS = ("intrinsics", "camera_to_world", "pose_valid")
_MAPS = ("depth", "sky_mask", "dynamic_mask")
_PER_FRAME = (*_TRACKS, *_CAMERAS, *_MAPS)
_PER_TRACK = ("query_frame", "track_weights")


def is_withheld(config: StreamConfig, record: ClipRecord) -> bool:
    """Whether the clip's truth stays on disk because it is for evaluation: training on it would spoil what it measures."""
    return config.arrays and not config.evaluation_truth and record.extra.get(_PURPOSE) == _EVALUATION


def add_truth(sample: ClipSample, data: bytes, record: ClipRecord) -> ClipSample:
    """The sample with the arrays of its clip, for its frames and in its pixels.

    Floating point comes as float32 whatever was stored (depth is kept as float16 where it fits). Tracks, principal points and
    focal lengths follow the resize; depth and masks take the nearest stored pixel.

    Args:
        data: bytes of the npz member; no pickled object is read.
        record: the clip as stored: length and size of the arrays.
    Raises: DataError if the member does not read, or an array does not fit the clip.
    """
    size: Size = sample.frames.shape[1:3]
    arrays: dict[str, Any] = {}
    for name, stored in _load(data, record).items():
        array = stored if name in _PER_TRACK else stored[sample.frame_indices]
        arrays[name] = _resized(name, array, (record.height, record.width), size)
    if "query_frame" in arrays:
        arrays["query_frame"] = frames_in_window(arrays["query_frame"], sample.frame_indices)
    return replace(sample, **arrays, pose_source=record.pose_source if "camera_to_world" in arrays else None)


def _load(data: bytes, record: ClipRecord) -> dict[str, np.ndarray]:
    arrays = read_npz(
        data,
        (*_PER_FRAME, *_PER_TRACK),
        shapes=clip_shapes(frames=record.frames, height=record.height, width=record.width),
        what=MEMBER,
        remedy="make the dataset again",
    )
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def _resized(name: str, array: np.ndarray, from_size: Size, to_size: Size) -> np.ndarray:
    if from_size == to_size:
        return array
    if name == "tracks2d":
        return resize_points(array, from_size, to_size)
    if name == "intrinsics":
        return resize_intrinsics(array, from_size, to_size)
    return resize_nearest(array, to_size) if name in _MAPS else array
