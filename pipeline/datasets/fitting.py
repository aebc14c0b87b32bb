"""The size at which a clip is stored: frames and truth shrink together, or lose an odd row and column."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from pipeline.records.truth import TruthClip
from pipeline.stream.resize import Size, resize_intrinsics, resize_nearest, resize_points
from pipeline.video.encode import EncodePolicy

_MAPS = ("depth", "sky_mask", "dynamic_mask")


def fitted(truth: TruthClip, long_side: int | None) -> TruthClip:
    """The clip at the size that its video is stored in. Both sides become even, as yuv420p needs it.

    Shrinking averages frames over the area of the new pixels; tracks, principal points and focal lengths follow by
    x -> (x + 0.5) s - 0.5; depth and masks take the nearest pixel. A clip that is small enough only loses its last row or column if
    there is an odd one: nothing moves. A clip that keeps its image files stays as it is.
    """
    if truth.images is not None:
        return truth
    height, width = truth.frames.shape[1:3]
    if long_side is None or long_side >= max(height, width):
        return _cropped(truth, (height - height % 2, width - width % 2))
    new_width, new_height = EncodePolicy(long_side=long_side).size(width, height)
    return _resized(truth, (new_height, new_width))


def _cropped(truth: TruthClip, size: Size) -> TruthClip:
    if size == truth.frames.shape[1:3]:
        return truth
    maps: dict[str, Any] = {name: array[:, : size[0], : size[1]] for name in _MAPS if (array := getattr(truth, name)) is not None}
    return replace(truth, frames=np.ascontiguousarray(truth.frames[:, : size[0], : size[1]]), **maps)


def _resized(truth: TruthClip, size: Size) -> TruthClip:
    before: Size = (truth.frames.shape[1], truth.frames.shape[2])
    maps: dict[str, Any] = {name: resize_nearest(array, size) for name in _MAPS if (array := getattr(truth, name)) is not None}
    return replace(
        truth,
        frames=np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for frame in truth.frames]),
        intrinsics=None if truth.intrinsics is None else resize_intrinsics(truth.intrinsics, before, size),
        tracks2d=None if truth.tracks2d is None else resize_points(truth.tracks2d, before, size),
        **maps,
    )
