"""A clip in other frames, with other tracks, at another size, cropped or mirrored: all its arrays follow, as the field table says.

Image files that a TruthClip keeps untouched (`images`) do not follow: such a clip is stored as it is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from pipeline.records.fields import arrays_of, crop_arrays, mirror_arrays, resize_arrays, take_frames_of, take_tracks_of
from pipeline.records.pixel_transforms import Crop, Size
from pipeline.records.sample import ClipSample
from pipeline.records.truth import TruthClip

Clip = TypeVar("Clip", ClipSample, TruthClip)


def take_frames(clip: Clip, frames: np.ndarray) -> Clip:
    """The clip in these frames, int64 "T", in this order; a frame may come more than once."""
    return _with(clip, take_frames_of(arrays_of(clip), frames))


def take_tracks(clip: Clip, tracks: np.ndarray) -> Clip:
    """The clip with these tracks, int64 "N", in this order."""
    return _with(clip, take_tracks_of(arrays_of(clip), tracks))


def resize(clip: Clip, size: Size) -> Clip:
    """The clip at another size, (H, W).

    Colours are averaged where pixels shrink and interpolated where they grow; depth and masks take the nearest stored pixel; tracks,
    principal points and focal lengths follow by x -> (x + 0.5) s - 0.5.
    """
    height, width = clip.frames.shape[1:3]
    return _with(clip, resize_arrays(arrays_of(clip), (height, width), size))


def crop(clip: Clip, rectangle: Crop) -> Clip:
    """The clip within a rectangle; frames and maps are views if it lies within the image. Tracks keep their visibility."""
    return _with(clip, crop_arrays(arrays_of(clip), rectangle))


def mirror(clip: Clip) -> Clip:
    """The clip in a mirror, left and right exchanged, and the world with it: x is negated in every camera and in the world."""
    return _with(clip, mirror_arrays(arrays_of(clip), clip.frames.shape[2]))


def _with(clip: Clip, arrays: Mapping[str, Any]) -> Clip:
    return replace(clip, **arrays)
