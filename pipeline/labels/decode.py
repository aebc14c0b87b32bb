"""A row of a label file to TrackLabels."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.labels.columns import TRACK_SCHEMA
from pipeline.labels.row import LabelRow
from pipeline.records import TrackLabels

DECODED = ("key", "num_frames", "num_tracks", *TRACK_SCHEMA.names)  # the columns that `decode_labels` needs


def decode_labels(table: pa.Table, row: int, *, where: str = "labels") -> TrackLabels:
    """The tracks of one row of a label table, scaled as its metadata say. Raises DataError, naming file and clip, if they do not fit."""
    key = table["key"][row].as_py()
    try:
        return _labels(table, row)
    except (DataError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where}: clip {key}: {error}; label this shard again") from error


def decode_row(table: pa.Table, row: int, *, where: str = "labels") -> LabelRow:
    """One row of a label table as the record it was made from."""
    names = ("key", "status", "clip_sha256", "num_frames", "width", "height", "error", "notes")
    values = {name: table[name][row].as_py() for name in names}
    return LabelRow(**values, labels=decode_labels(table, row, where=where) if values["status"] == "ok" else None)


def _labels(table: pa.Table, row: int) -> TrackLabels:
    metadata: Mapping[bytes, bytes] = table.schema.metadata or {}
    size = (table["num_tracks"][row].as_py(), table["num_frames"][row].as_py())
    if None in size or min(size) < 0 or len(_values(table, "tracks_x", row)) != size[0] * size[1]:
        raise DataError(f"num_tracks and num_frames are {size[0]} and {size[1]}, which its tracks do not fill")
    position_scale, score_scale = (_scale(metadata, name) for name in (b"position_scale", b"score_scale"))
    tracks = np.empty((size[1], size[0], 2), np.float32)
    for axis, name in enumerate(("tracks_x", "tracks_y")):
        # 1 / scale is a power of two for our own files, so that the product is exact
        np.multiply(_values(table, name, row).reshape(size).T, 1 / position_scale, out=tracks[..., axis], casting="same_kind")
    visibility = _values(table, "visibility", row).reshape(size)
    queries = np.stack([_values(table, name, row) for name in ("query_t", "query_x", "query_y")], axis=1)
    cycle_error = table["cycle_error_px"][row]
    return TrackLabels(
        queries=queries.astype(np.float32),
        tracks_px=tracks,
        visibility=np.ascontiguousarray(visibility.T),
        visibility_score=_score(table, "visibility_score", row, size=size, scale=score_scale),
        confidence=_score(table, "confidence", row, size=size, scale=score_scale),
        cycle_error_px=_values(table, "cycle_error_px", row).copy() if cycle_error.is_valid else None,
    )


def _values(table: pa.Table, name: str, row: int) -> np.ndarray:
    cell = table[name][row]
    if not cell.is_valid:
        raise DataError(f"{name} is null in a row with status ok")
    return np.asarray(cell.values.to_numpy(zero_copy_only=False))


def _score(table: pa.Table, name: str, row: int, *, size: tuple[int, int], scale: int) -> np.ndarray | None:
    if not table[name][row].is_valid:
        return None
    return np.ascontiguousarray(_values(table, name, row).reshape(size).T).astype(np.float32) / np.float32(scale)


def _scale(metadata: Mapping[bytes, bytes], name: bytes) -> int:
    value = metadata.get(name, b"")
    if not value.isdigit() or len(value) > 6 or int(value) < 1:
        raise DataError(f"the file's metadata name no {name.decode()} (found {value.decode(errors='replace')!r})")
    return int(value)
