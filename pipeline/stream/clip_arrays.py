"""Arrays of a stored clip (its own truth, the labels of a set), added to a sample: for its frames, and in its pixels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.labels import kind_named
from pipeline.records import ClipRecord, ClipSample, Labels
from pipeline.records.cameras import PoseScale
from pipeline.records.fields import FIELDS, frame_arrays, frames_taken, stored_shapes, take_frames_of
from pipeline.records.npz import read_npz
from pipeline.records.pixel_transforms import Crop, Framing, crop_maps, lies_within
from pipeline.shards.index import ARRAYS
from pipeline.stream.config import StreamConfig

_PURPOSE, _EVALUATION = "truth_for", "evaluation"  # what a clip's record says of its truth


def add_truth(sample: ClipSample, data: bytes, record: ClipRecord, framing: Framing) -> ClipSample:
    """The sample with the arrays of its clip: cameras, depth, flow, true tracks.

    Floating point comes as float32 whatever was stored (depth is kept as float16 where it fits).

    Args:
        data: bytes of the arrays member; no pickled object is read, and names that are no fields are left alone.
        record: the clip as stored: length and size of the arrays.
        framing: from the stored clip's pixels to the sample's.
    Raises: DataError if the member does not read, or an array does not fit the clip.
    """
    shapes = stored_shapes(frames=record.frames, height=record.height, width=record.width)
    stored = read_npz(data, shapes, shapes=shapes, what=ARRAYS, remedy="make the dataset again")
    arrays = {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in stored.items()}
    taken = take_frames_of(arrays, sample.frame_indices)  # frames first: what is not delivered is not resized
    unit: PoseScale = "metric" if record.is_metric else "relative"
    in_space = "tracks3d" in arrays or "tracks3d_world" in arrays
    return replace(
        _with_framed(sample, taken, record, framing),
        pose_source=record.pose_source if "camera_to_world" in arrays else None,
        pose_scale=unit if "camera_to_world" in arrays else None,
        tracks3d_source="gt" if in_space else None,
        tracks3d_scale=unit if in_space else None,
        flow_source="gt" if "flow" in arrays else None,
        depth_source="gt" if "depth" in arrays else None,
        depth_scale=unit if "depth" in arrays else None,
    )


def is_withheld(config: StreamConfig, record: ClipRecord) -> bool:
    """Whether the clip's truth stays on disk because it is for evaluation: training on it would spoil what it measures."""
    return config.arrays and not config.evaluation_truth and record.extra.get(_PURPOSE) == _EVALUATION


def add_labels(sample: ClipSample, labels: Labels, record: ClipRecord, framing: Framing) -> ClipSample:
    """The sample with pseudo-labels in place of what it knew of the kind: pseudo tracks and true ones are not the same points.

    Visibility stays what the labeler said, wherever the positions come to lie: see `hide_outside`.

    Args:
        labels: of the whole clip; of a dense kind, of the sample's frames.
        framing: from the stored clip's pixels to the sample's.
    Raises: DataError if the labels are of another length or size than the clip.
    """
    kind = kind_named(labels.kind)
    try:
        kind.check(labels, len(sample.frames) if kind.dense else record.frames, record.height, record.width)
    except DataError as error:
        raise DataError(f"{error}; label this shard again") from error
    without: dict[str, Any] = dict.fromkeys(kind.fields)
    arrays = kind.arrays(labels)
    taken = _numbered(arrays, sample.frame_indices) if kind.dense else take_frames_of(arrays, sample.frame_indices)
    return _with_framed(replace(sample, **{**without, **kind.facts(labels)}), taken, record, framing)


def _numbered(arrays: Mapping[str, np.ndarray], frames: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of these frames, with the clip's numbers of frames as places among them."""
    return {name: frames_taken(array, frames) if FIELDS[name].holds_frames else array for name, array in arrays.items()}


def valid_mask(framing: Framing) -> np.ndarray:
    """Pixels that show the picture, bool "H W"."""
    height, width = framing.scaled
    return crop_maps(np.ones((1, height, width), bool), framing.rectangle)[0]


def hide_outside(sample: ClipSample, picture: Crop) -> ClipSample:
    """The sample with tracks that are seen, asked for and weighed within the picture alone.

    Where a track lies outside, `visibility` is False, `visibility_score` and `frame_weights` are 0; one whose query lies outside has no
    `query_frame` (-1), and one that is outside in all frames has `track_weights` 0. Positions, and points in space, stay.

    Args:
        picture: the part of the frames that shows it.
    """
    if sample.tracks2d is None:
        return sample
    inside = lies_within(sample.tracks2d, picture)
    changes: dict[str, Any] = {}
    if sample.visibility is not None:
        changes["visibility"] = sample.visibility & inside
    for name, kept in (("visibility_score", inside), ("frame_weights", inside), ("track_weights", inside.any(axis=0))):
        values = getattr(sample, name)
        if values is not None:
            changes[name] = np.where(kept, values, np.float32(0))
    asked = sample.query_frame
    if asked is not None:
        is_held = inside[np.maximum(asked, 0), np.arange(len(asked))]
        changes["query_frame"] = np.where((asked >= 0) & is_held, asked, -1).astype(np.int32)
    return replace(sample, **changes)


def _with_framed(sample: ClipSample, arrays: Mapping[str, np.ndarray], record: ClipRecord, framing: Framing) -> ClipSample:
    """The sample with arrays of its frames, in pixels of the stored clip so far."""
    changes: dict[str, Any] = frame_arrays(arrays, (record.height, record.width), framing)
    return replace(sample, **changes)
