"""The array fields of a clip, each named once: dtype, axes, and how it follows resizing, cropping and mirroring.

A new field is a line of `FIELDS` beside its line in `ClipSample` (and in `TruthClip`, if datasets may have it). A field that follows
the image in a new way also needs a `PixelRule`. Records, reading, conversion, streaming and training take all else from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from pipeline.records.arrays import check_array
from pipeline.records.pixel_transforms import (
    FIXED,
    FLOW,
    FRAMES,
    IMAGE_MASKS,
    INTRINSICS,
    MAPS,
    POINTS_3D,
    POINTS_PX,
    POSES,
    Crop,
    Framing,
    PixelRule,
    Size,
)

Arrays = Mapping[str, np.ndarray]  # by field
Shape = tuple[int | None, ...]  # None: any length


@dataclass(frozen=True, slots=True)
class ArrayField:
    """One array of a clip."""

    dtype: str  # in memory
    axes: str  # in jaxtyping's spelling: T frames, N tracks, H x W pixels
    rule: PixelRule = FIXED
    stored: bool = False  # may lie in the clip's arrays member
    holds_frames: bool = False  # its values are indices of frames; -1 stands for a frame that is not among the clip's

    def axis(self, name: str) -> int | None:
        """Position of an axis; None if the field does not have it."""
        names = self.axes.split()
        return names.index(name) if name in names else None

    def shape(self, sizes: Mapping[str, int]) -> Shape:
        """The shape for these lengths of axes; an axis without a length may have any."""
        return tuple(int(axis) if axis.isdigit() else sizes.get(axis) for axis in self.axes.split())


# In the order in which a clip's arrays member holds them.
FIELDS: Mapping[str, ArrayField] = {
    "frames": ArrayField("uint8", "T H W 3", FRAMES),
    "frame_indices": ArrayField("int64", "T"),
    "frame_times": ArrayField("float64", "T"),
    "valid_mask": ArrayField("bool", "H W", IMAGE_MASKS),
    # cameras and geometry
    "intrinsics": ArrayField("float32", "T 3 3", INTRINSICS, stored=True),
    "camera_to_world": ArrayField("float32", "T 4 4", POSES, stored=True),
    "pose_valid": ArrayField("bool", "T", stored=True),
    "depth": ArrayField("float32", "T H W", MAPS, stored=True),
    "depth_confidence": ArrayField("float32", "T H W", MAPS),
    "sky_mask": ArrayField("bool", "T H W", MAPS, stored=True),
    "dynamic_mask": ArrayField("bool", "T H W", MAPS, stored=True),
    # flow
    "flow": ArrayField("float32", "T H W 2", FLOW, stored=True),
    "flow_valid": ArrayField("bool", "T H W", MAPS, stored=True),
    "flow_confidence": ArrayField("float32", "T H W", MAPS),
    "flow_from_frame": ArrayField("int32", "T", stored=True, holds_frames=True),
    "flow_to_frame": ArrayField("int32", "T", stored=True, holds_frames=True),
    # tracks
    "tracks2d": ArrayField("float32", "T N 2", POINTS_PX, stored=True),
    "tracks3d": ArrayField("float32", "T N 3", POINTS_3D, stored=True),
    "tracks3d_world": ArrayField("float32", "T N 3", POINTS_3D, stored=True),
    "visibility": ArrayField("bool", "T N", stored=True),
    "track_valid": ArrayField("bool", "T N", stored=True),
    "query_frame": ArrayField("int32", "N", stored=True, holds_frames=True),
    "visibility_score": ArrayField("float32", "T N", stored=True),
    "confidence": ArrayField("float32", "T N", stored=True),
    # an audit's trust
    "track_weights": ArrayField("float32", "N", stored=True),
    "frame_weights": ArrayField("float32", "T N"),
    "static_score": ArrayField("float32", "N"),
    "pose_signal": ArrayField("bool", "T"),
}


def array_names(record: type) -> tuple[str, ...]:
    """The array fields that a record class has, in the table's order."""
    own = {field.name for field in fields(record)}
    return tuple(name for name in FIELDS if name in own)


def names_along(axis: Literal["T", "N"]) -> tuple[str, ...]:
    """The fields that have this axis."""
    return tuple(name for name, field in FIELDS.items() if field.axis(axis) is not None)


def arrays_of(record: Any) -> dict[str, np.ndarray]:
    """The arrays that a ClipSample or TruthClip has, by field."""
    return {name: array for name in array_names(type(record)) if (array := getattr(record, name)) is not None}


def check_arrays(record: Any, where: str = "") -> None:
    """Raise DataError, beginning with `where`, unless all arrays of a ClipSample or TruthClip have their dtype and fit its frames."""
    check_array(f"{where}frames", record.frames, "uint8", (None, None, None, 3))
    sizes = dict(zip("THW", record.frames.shape, strict=False))
    if record.tracks2d is not None and record.tracks2d.ndim > 1:
        sizes["N"] = record.tracks2d.shape[1]
    for name, array in arrays_of(record).items():
        check_array(f"{where}{name}", array, FIELDS[name].dtype, FIELDS[name].shape(sizes))


def stored_shapes(*, frames: int, height: int, width: int) -> dict[str, Shape]:
    """Shapes of the arrays that a clip's arrays member may hold, by field; it may have any number of tracks."""
    sizes = {"T": frames, "H": height, "W": width}
    return {name: field.shape(sizes) for name, field in FIELDS.items() if field.stored}


def frames_taken(stored_frames: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Places of frames among those taken, int32 "N"; -1 for one that was not taken. One taken twice counts where it comes first.

    Args:
        stored_frames: "N", indices of frames; -1 for none.
        taken: int64 "T", in any order.
    """
    order = np.argsort(taken, kind="stable")
    place = order[np.minimum(np.searchsorted(taken[order], stored_frames), len(taken) - 1)]
    return np.where(taken[place] == stored_frames, place, -1).astype(np.int32)


def take_frames_of(arrays: Arrays, frames: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays in these frames, int64 "T", in this order; a frame may come more than once."""
    taken = _take(arrays, "T", frames)
    return {name: frames_taken(array, frames) if FIELDS[name].holds_frames else array for name, array in taken.items()}


def take_tracks_of(arrays: Arrays, tracks: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays with these tracks, int64 "N", in this order."""
    return _take(arrays, "N", tracks)


def resize_arrays(arrays: Arrays, from_size: Size, to_size: Size) -> dict[str, np.ndarray]:
    """The arrays of the resized image; sizes are (H, W)."""
    if from_size == to_size:
        return dict(arrays)
    return {name: FIELDS[name].rule.resize(array, from_size, to_size) for name, array in arrays.items()}


def crop_arrays(arrays: Arrays, crop: Crop) -> dict[str, np.ndarray]:
    """The arrays of a rectangle of the image, with 0 where it reaches beyond. Tracks keep their visibility, wherever they end up."""
    return {name: FIELDS[name].rule.crop(array, crop) for name, array in arrays.items()}


def frame_arrays(arrays: Arrays, stored: Size, framing: Framing) -> dict[str, np.ndarray]:
    """The arrays of an image of this size, (H, W), as it is delivered."""
    resized = resize_arrays(arrays, stored, framing.scaled)
    return resized if framing.is_whole else crop_arrays(resized, framing.rectangle)


def mirror_arrays(arrays: Arrays, width: int) -> dict[str, np.ndarray]:
    """The arrays of the mirrored image, left and right exchanged; x is negated in every camera and in the world."""
    return {name: FIELDS[name].rule.mirror(array, width) for name, array in arrays.items()}


def _take(arrays: Arrays, axis: str, which: np.ndarray) -> dict[str, np.ndarray]:
    taken = {}
    for name, array in arrays.items():
        along = FIELDS[name].axis(axis)
        taken[name] = array if along is None else array[which] if along == 0 else array[:, which]
    return taken
