"""TrackLabels to rows, rows to the Parquet file of one shard."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.labels.columns import CLIP_SCHEMA, POSITION_SCALE, SCHEMA, SCORE_SCALE, TRACK_SCHEMA, writer_options
from pipeline.labels.row import LabelRow
from pipeline.layout import Layout
from pipeline.records import TrackLabels
from pipeline.tables import write_table

_INT32_MAX = np.iinfo(np.int32).max


def write_label_shard(root: str, label_set: str, *, shard: int, rows: Sequence[LabelRow]) -> None:
    """Commit the labels of one shard: one row per clip, in the shard's order. See `write_label_tables`."""
    write_label_tables(root, label_set, shard=shard, tables=[encode_rows(rows)])


def write_label_tables(root: str, label_set: str, *, shard: int, tables: Iterable[pa.Table]) -> None:
    """Commit the labels of one shard from tables of `encode_rows`, joined in the order given.

    Equal rows give equal bytes, however they were spread over tables. Raises DataError for a key that occurs twice.
    """
    uri = Layout(root).label_shard(label_set, shard)
    table = pa.concat_tables([SCHEMA.empty_table(), *tables]).combine_chunks()
    keys = table["key"].to_pylist()
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise DataError(f"{uri}: {len(twice)} clips have two rows each, the first is {twice[0]}; give every clip of the shard one row")
    write_table(uri, table.replace_schema_metadata({**SCHEMA.metadata, "label_set": label_set}), "labels", **writer_options())


def encode_rows(rows: Sequence[LabelRow]) -> pa.Table:
    """Rows as a table of the label file's schema. Raises DataError for a position that fixed point cannot hold."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for row in rows:
        for name, value in (_clip_values(row) | _track_values(row)).items():
            columns[name].append(value)
    return pa.table(columns, schema=SCHEMA)


def _clip_values(row: LabelRow) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in CLIP_SCHEMA.names if name != "num_tracks"}
    return own | {"num_tracks": None if row.labels is None else row.labels.tracks_px.shape[1]}


def _track_values(row: LabelRow) -> dict[str, Any]:
    labels = row.labels
    if labels is None:
        return dict.fromkeys(TRACK_SCHEMA.names)
    x, y = _fixed_point(labels, row.key)
    return {
        "tracks_x": _by_track(x),
        "tracks_y": _by_track(y),
        "visibility": _by_track(labels.visibility),
        "visibility_score": _quantised(labels.visibility_score),
        "confidence": _quantised(labels.confidence),
        "cycle_error_px": labels.cycle_error_px,
        "query_t": labels.queries[:, 0].astype(np.int32),
        "query_x": labels.queries[:, 1],
        "query_y": labels.queries[:, 2],
    }


def _fixed_point(labels: TrackLabels, key: str) -> np.ndarray:
    """Positions "2 T N" as int32."""
    scaled = np.rint(labels.tracks_px.astype(np.float64) * POSITION_SCALE)
    too_far = np.abs(scaled) > _INT32_MAX
    if too_far.any():
        t, n, _ = (int(index[0]) for index in np.nonzero(too_far))
        raise DataError(
            f"clip {key}: track {n} is at {labels.tracks_px[t, n].tolist()} px in frame {t}, expected within"
            f" {_INT32_MAX // POSITION_SCALE} px: the labeler's prediction ran away; clamp it there, or mark the clip failed"
        )
    return np.moveaxis(scaled.astype(np.int32), -1, 0)


def _quantised(score: np.ndarray | None) -> np.ndarray | None:
    return None if score is None else _by_track(np.rint(score * np.float32(SCORE_SCALE)).astype(np.uint8))


def _by_track(array: np.ndarray) -> np.ndarray:
    """ "T N" to a flat array in which each track's frames lie together."""
    return np.ascontiguousarray(array.T).ravel()
