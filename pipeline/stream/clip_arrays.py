"""Arrays of a stored clip (its own truth, a label set's tracks), added to a sample: for its frames, and in its pixels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.records import ClipRecord, ClipSample, TrackLabels
from pipeline.records.fields import names_along, resize_arrays, stored_shapes, take_frames_of
from pipeline.records.npz import read_npz
from pipeline.shards.index import ARRAYS
from pipeline.stream.config import StreamConfig

_PURPOSE, _EVALUATION = "truth_for", "evaluation"  # what a clip's record says of its truth


def add_arrays(sample: ClipSample, arrays: Mapping[str, np.ndarray | None], record: ClipRecord) -> ClipSample:
    """The sample with these fields, for its frames and in its pixels, as the field table says.

    Args:
        arrays: by field of ClipSample, at the stored clip's length and size; None leaves a field as it is.
        record: the clip as stored.
    """
    given = {name: array for name, array in arrays.items() if array is not None}
    height, width = sample.frames.shape[1:3]
    changes: dict[str, Any] = resize_arrays(
        take_frames_of(given, sample.frame_indices), (record.height, record.width), (height, width)
    )  # frames first: what is not delivered is not resized
    return replace(sample, **changes)


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
    return replace(add_arrays(sample, arrays, record), pose_source=record.pose_source if "camera_to_world" in arrays else None)


def is_withheld(config: StreamConfig, record: ClipRecord) -> bool:
    """Whether the clip's truth stays on disk because it is for evaluation: training on it would spoil what it measures."""
    return config.arrays and not config.evaluation_truth and record.extra.get(_PURPOSE) == _EVALUATION


def add_labels(sample: ClipSample, labels: TrackLabels, record: ClipRecord) -> ClipSample:
    """The sample with pseudo tracks in place of any true ones and all that is known of those: the two are not the same points.

    Visibility stays what the labeler said, wherever a resize moves the positions.
    Raises: DataError if the labels are of another length than the clip.
    """
    if len(labels.tracks_px) != record.frames:
        raise DataError(f"the labels cover {len(labels.tracks_px)} frames, the clip has {record.frames}; label this shard again")
    without_tracks: dict[str, Any] = dict.fromkeys(names_along("N"))
    tracks = {
        "tracks2d": labels.tracks_px,
        "visibility": labels.visibility,
        "visibility_score": labels.visibility_score,
        "confidence": labels.confidence,
        "query_frame": labels.queries[:, 0],
    }
    return add_arrays(replace(sample, **without_tracks), tracks, record)
