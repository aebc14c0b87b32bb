"""Arrays of a stored clip (its own truth, the labels of a set), added to a sample: for its frames, and in its pixels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.labels import kind_named
from pipeline.records import ClipRecord, ClipSample, Labels
from pipeline.records.fields import resize_arrays, stored_shapes, take_frames_of
from pipeline.records.npz import read_npz
from pipeline.shards.index import ARRAYS
from pipeline.stream.config import StreamConfig

_PURPOSE, _EVALUATION = "truth_for", "evaluation"  # what a clip's record says of its truth


def add_truth(sample: ClipSample, data: bytes, record: ClipRecord) -> ClipSample:
    """The sample with the arrays of its clip: cameras, depth, true tracks.

    Floating point comes as float32 whatever was stored (depth is kept as float16 where it fits).

    Args:
        data: bytes of the arrays member; no pickled object is read, and names that are no fields are left alone.
        record: the clip as stored: length and size of the arrays.
    Raises: DataError if the member does not read, or an array does not fit the clip.
    """
    shapes = stored_shapes(frames=record.frames, height=record.height, width=record.width)
    stored = read_npz(data, shapes, shapes=shapes, what=ARRAYS, remedy="make the dataset again")
    arrays = {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in stored.items()}
    taken = take_frames_of(arrays, sample.frame_indices)  # frames first: what is not delivered is not resized
    return replace(
        _with_resized(sample, taken, record),
        pose_source=record.pose_source if "camera_to_world" in arrays else None,
        depth_source="gt" if "depth" in arrays else None,
        depth_scale=None if "depth" not in arrays else "metric" if record.is_metric else "relative",
    )


def is_withheld(config: StreamConfig, record: ClipRecord) -> bool:
    """Whether the clip's truth stays on disk because it is for evaluation: training on it would spoil what it measures."""
    return config.arrays and not config.evaluation_truth and record.extra.get(_PURPOSE) == _EVALUATION


def add_labels(sample: ClipSample, labels: Labels, record: ClipRecord) -> ClipSample:
    """The sample with pseudo-labels in place of what it knew of the kind: pseudo tracks and true ones are not the same points.

    Visibility stays what the labeler said, wherever a resize moves the positions.

    Args:
        labels: of the whole clip; of a dense kind, of the sample's frames.
    Raises: DataError if the labels are of another length or size than the clip.
    """
    kind = kind_named(labels.kind)
    try:
        kind.check(labels, len(sample.frames) if kind.dense else record.frames, record.height, record.width)
    except DataError as error:
        raise DataError(f"{error}; label this shard again") from error
    without: dict[str, Any] = dict.fromkeys(kind.fields)
    arrays = kind.arrays(labels)
    taken = arrays if kind.dense else take_frames_of(arrays, sample.frame_indices)
    return _with_resized(replace(sample, **{**without, **kind.facts(labels)}), taken, record)


def _with_resized(sample: ClipSample, arrays: Mapping[str, np.ndarray], record: ClipRecord) -> ClipSample:
    """The sample with arrays of its frames, at the stored clip's size so far."""
    height, width = sample.frames.shape[1:3]
    changes: dict[str, Any] = resize_arrays(arrays, (record.height, record.width), (height, width))
    return replace(sample, **changes)
