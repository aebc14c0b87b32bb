"""A clip's true tracks, read from its arrays member; nothing else of the member is decoded."""

import numpy as np

from pipeline.errors import DataError
from pipeline.records import ClipRecord, TrackTruth
from pipeline.records.fields import stored_shapes
from pipeline.records.npz import read_npz
from pipeline.shards.index import ARRAYS, ClipEntry, read_member

_FIELDS = ("tracks2d", "visibility", "track_valid", "query_frame")


def read_track_truth(root: str, entry: ClipEntry) -> TrackTruth | None:
    """True tracks at the stored clip's length and size; None if the clip has none.

    Raises: DataError, naming the clip, if the member does not read, lacks a companion of tracks2d, or is of another length.
    """
    member = entry.member(ARRAYS)
    if member is None or entry.record is None:
        return None
    arrays = _load(read_member(root, entry, member), entry.record)
    if "tracks2d" not in arrays:
        return None
    missing = [name for name in _FIELDS if name not in arrays]
    if missing:
        raise DataError(f"clip {entry.key}: {ARRAYS} has tracks2d without {', '.join(missing)}; convert this dataset again")
    try:
        truth = TrackTruth(
            tracks_px=arrays["tracks2d"],
            visibility=arrays["visibility"],
            track_valid=arrays["track_valid"],
            query_frame=arrays["query_frame"],
        )
    except DataError as error:
        raise DataError(f"clip {entry.key}: {ARRAYS}: {error}; convert this dataset again") from error
    if len(truth.tracks_px) != entry.record.frames:
        raise DataError(
            f"clip {entry.key}: tracks2d in {ARRAYS} cover {len(truth.tracks_px)} frames, the clip has {entry.record.frames};"
            " convert this dataset again"
        )
    return truth


def _load(data: bytes, record: ClipRecord) -> dict[str, np.ndarray]:
    shapes = stored_shapes(frames=record.frames, height=record.height, width=record.width)
    shapes = {name: (None, *shapes[name][1:]) for name in _FIELDS}  # the length is checked with words of its own
    what = f"clip {record.key}: {ARRAYS}"
    return read_npz(data, _FIELDS, shapes=shapes, what=what, remedy="convert this dataset again")
