"""Label files to TrackLabels: a whole set, or one clip out of a shard by reading its row group only."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DataError
from pipeline.labels.columns import CLIP_SCHEMA, SCHEMA
from pipeline.labels.decode import DECODED, decode_labels
from pipeline.labels.row import STATUSES
from pipeline.labels.sets import read_label_set
from pipeline.layout import Layout, committed
from pipeline.records import TrackLabels
from pipeline.shards.tombstones import Tombstones, forgotten_keys, read_tombstones
from pipeline.tables import TableShape, open_table

_SHAPE = TableShape(schema=SCHEMA, filled=("key", "status"))


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelEntry:
    """What a label file says about one clip, without its tracks. Fields as in LabelRow; `row` is its place in the file."""

    row: int
    key: str
    status: str
    clip_sha256: str | None
    num_frames: int | None
    num_tracks: int | None
    width: int | None
    height: int | None
    error: str | None
    notes: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelShard:
    """The labels of one shard: every clip's entry at hand, tracks read on demand. Small, and may be pickled."""

    uri: str
    entries: Mapping[str, LabelEntry]  # by key, in the file's order

    def entry(self, key: str) -> LabelEntry:
        """The clip's entry. Raises DataError if the file does not know the clip."""
        found = self.entries.get(key)
        if found is None:
            raise DataError(f"{self.uri}: no row for clip {key}; the shard changed after it was labelled: {_relabel(self.uri)}")
        return found

    def labels(self, key: str) -> TrackLabels:
        """Decode one clip, reading its row group only. Raises DataError if it has no labels, or the file was replaced meanwhile."""
        entry = self.entry(key)
        if entry.status != "ok":
            raise DataError(f"{self.uri}: clip {key} has no labels, it is {entry.status}{f' ({entry.error})' if entry.error else ''}")
        with _open_labels(self.uri) as file:
            group, row = _locate(file.metadata, entry.row)
            if group is None:
                raise DataError(f"{self.uri}: {file.metadata.num_rows} rows, clip {key} was in row {entry.row}; open the shard again")
            table = file.read_row_group(group, columns=DECODED, use_threads=False)
        if table["key"][row].as_py() != key:
            raise DataError(f"{self.uri}: row {entry.row} no longer holds clip {key}: the file was replaced; open the shard again")
        return decode_labels(table, row, where=self.uri)

    def check_clip(self, key: str, sha256: str) -> None:
        """Raise DataError unless the clip's video is the one that was labelled; `sha256` is the shard index's, of the video member."""
        labelled = self.entry(key).clip_sha256
        if labelled is not None and labelled != sha256:
            raise DataError(
                f"{self.uri}: clip {key} was labelled on another video (sha256 {labelled[:12]}..., the shard's index says"
                f" {sha256[:12]}...); {_relabel(self.uri)}"
            )


def read_labels(root: str | os.PathLike[str], labelset: str) -> Iterator[tuple[str, TrackLabels]]:
    """Key and labels of every clip that was labelled and not tombstoned, shard by shard.

    Raises: ConfigError for a set that does not exist.
    """
    root = os.fspath(root)
    read_label_set(root, labelset)
    return _labels_of(root, labelset, read_tombstones(root))


def labelled_shards(root: str, label_set: str) -> list[int]:
    """Numbers of the shards that have a committed label file in this set, ascending."""
    return sorted(committed(Layout(root).label_set(label_set)))


def read_label_shard(root: str, label_set: str, shard: int) -> LabelShard:
    """Status and sizes of every clip of a shard; no track is decoded. Raises StorageError if the shard is not labelled."""
    uri = Layout(root).label_shard(label_set, shard)
    with _open_labels(uri) as file:
        table = file.read(columns=CLIP_SCHEMA.names, use_threads=False)
    _SHAPE.check_filled(uri, table)
    entries = (LabelEntry(row=row, **values) for row, values in enumerate(table.to_pylist()))
    found = {entry.key: entry for entry in entries}
    for entry in found.values():
        if entry.status not in STATUSES:
            raise DataError(f"{uri}: clip {entry.key}: status is {entry.status!r}, expected one of {', '.join(STATUSES)}; {_relabel(uri)}")
    return LabelShard(uri=uri, entries=found)


def _labels_of(root: str, label_set: str, tombstones: Tombstones) -> Iterator[tuple[str, TrackLabels]]:
    for shard in labelled_shards(root, label_set):
        forgotten = forgotten_keys(root, shard, tombstones)
        yield from (pair for pair in _labels_in(Layout(root).label_shard(label_set, shard)) if pair[0] not in forgotten)


def _labels_in(uri: str) -> Iterator[tuple[str, TrackLabels]]:
    with _open_labels(uri) as file:
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group, columns=SCHEMA.names, use_threads=False)
            _SHAPE.check_filled(uri, table)
            for row, (key, status) in enumerate(zip(table["key"].to_pylist(), table["status"].to_pylist(), strict=True)):
                if status == "ok":
                    yield key, decode_labels(table, row, where=uri)


@contextmanager
def _open_labels(uri: str) -> Iterator[pq.ParquetFile]:
    with open_table(uri, "labels", shape=_SHAPE) as file:
        try:
            yield file
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(f"{uri}: cannot be read ({' '.join(str(error).split())}); if it stays so, {_relabel(uri)}") from error


def _locate(metadata: pq.FileMetaData, row: int) -> tuple[int | None, int]:
    """Row group of a file's row, and the row's place in it; None if the file is shorter."""
    for group in range(metadata.num_row_groups):
        length = metadata.row_group(group).num_rows
        if row < length:
            return group, row
        row -= length
    return None, row


def _relabel(uri: str) -> str:
    return f"delete {uri.rsplit('/', 1)[-1]} and run jobs/pseudolabel.py again"
