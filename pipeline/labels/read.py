"""Label files to labels: a whole set, or one clip out of a shard by reading its row group (and its files) only."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DataError
from pipeline.labels.kinds import LabelKind, kind_named, kind_of_file
from pipeline.labels.kinds.kind import CLIP_COLUMNS, MEMBERS
from pipeline.labels.rows import STATUSES, decode_labels
from pipeline.labels.sets import read_label_set
from pipeline.labels.sidecar import read_files, with_files
from pipeline.layout import Layout, committed
from pipeline.records import Labels, TrackLabels
from pipeline.shards.tombstones import Tombstones, forgotten_keys, read_tombstones
from pipeline.tables import TableShape, open_table

_FILLED = ("key", "status")
L = TypeVar("L", bound=Labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelEntry:
    """Row of a label file for one clip, without its labels. Fields as in LabelRow; `row` is its place in the file."""

    row: int
    key: str
    status: str
    clip_sha256: str | None
    num_frames: int | None
    width: int | None
    height: int | None
    error: str | None
    notes: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelShard:
    """The labels of one shard: every clip's entry at hand, labels read on demand. Small, and may be pickled."""

    uri: str
    kind: str
    entries: Mapping[str, LabelEntry]  # by key, in the file's order

    def entry(self, key: str) -> LabelEntry:
        """The clip's entry. Raises DataError if the file does not know the clip."""
        found = self.entries.get(key)
        if found is None:
            raise DataError(f"{self.uri}: no row for clip {key}; the shard changed after it was labelled: {_relabel(self.uri)}")
        return found

    def labels(self, key: str, *, frames: Sequence[int] | None = None) -> Labels:
        """Decode one clip, reading its row group only. Raises DataError if it has no labels, or the file was replaced meanwhile.

        Args:
            frames: of a dense kind, the frames that are wanted, ascending; None for all. Tracks come whole.
        """
        entry = self.entry(key)
        if entry.status != "ok":
            raise DataError(f"{self.uri}: clip {key} has no labels, it is {entry.status}{f' ({entry.error})' if entry.error else ''}")
        kind = kind_named(self.kind)
        columns = ["key", "num_frames", *(("height", "width") if kind.dense else ()), *kind.own_columns]
        with _open_labels(self.uri) as (file, _):
            group, row = _locate(file.metadata, entry.row)
            if group is None:
                raise DataError(f"{self.uri}: {file.metadata.num_rows} rows, clip {key} was in row {entry.row}; open the shard again")
            table = file.read_row_group(group, columns=columns, use_threads=False)
        if table["key"][row].as_py() != key:
            raise DataError(f"{self.uri}: row {entry.row} no longer holds clip {key}: the file was replaced; open the shard again")
        return _labels(self.uri, table, row, frames)

    def tracks(self, key: str) -> TrackLabels:
        """The tracks of one clip. Raises DataError as `labels` does, and if the labels are of another kind."""
        labels = self.labels(key)
        if not isinstance(labels, TrackLabels):
            raise DataError(f"{self.uri} holds {self.kind}, not tracks; name a label set of tracks")
        return labels

    def check_clip(self, key: str, sha256: str) -> None:
        """Raise DataError unless the clip's video is the one that was labelled; `sha256` is the shard index's, of the video member."""
        labelled = self.entry(key).clip_sha256
        if labelled is not None and labelled != sha256:
            raise DataError(
                f"{self.uri}: clip {key} was labelled on another video (sha256 {labelled[:12]}..., the shard's index says"
                f" {sha256[:12]}...); {_relabel(self.uri)}"
            )


def read_labels(root: str | os.PathLike[str], labelset: str) -> Iterator[tuple[str, TrackLabels]]:
    """Key and tracks of every clip that was labelled and not tombstoned, shard by shard.

    Raises: ConfigError for a set that does not exist, or holds labels of another kind.
    """
    return read_labels_as(root, labelset, TrackLabels)


def read_labels_as(root: str | os.PathLike[str], labelset: str, record: type[L]) -> Iterator[tuple[str, L]]:
    """Key and labels of a set of any kind, as `read_labels` gives tracks.

    Args:
        record: what the labels are: TrackLabels, DepthLabels, CameraLabels, ... A set of tracks3d gives Tracks3dLabels for either kind of
            tracks.
    """
    root = os.fspath(root)
    read_label_set(root, labelset, kind=record.kind)
    return _labels_of(root, labelset, record, read_tombstones(root))


def labelled_shards(root: str, label_set: str) -> list[int]:
    """Numbers of the shards that have a committed label file in this set, ascending."""
    return sorted(committed(Layout(root).label_set(label_set)))


def read_label_shard(root: str, label_set: str, shard: int) -> LabelShard:
    """Status and sizes of every clip of a shard; no label is decoded. Raises StorageError if the shard is not labelled."""
    uri = Layout(root).label_shard(label_set, shard)
    with _open_labels(uri) as (file, kind):
        table = file.read(columns=list(CLIP_COLUMNS), use_threads=False)
    _shape(kind).check_filled(uri, table)
    entries = (LabelEntry(row=row, **values) for row, values in enumerate(table.to_pylist()))
    found = {entry.key: entry for entry in entries}
    for entry in found.values():
        if entry.status not in STATUSES:
            raise DataError(f"{uri}: clip {entry.key}: status is {entry.status!r}, expected one of {', '.join(STATUSES)}; {_relabel(uri)}")
    return LabelShard(uri=uri, kind=kind.name, entries=found)


def read_encoded_rows(root: str, label_set: str, shard: int) -> pa.Table:
    """The rows of a shard as `encode_rows` made them, to be committed again beside new ones."""
    uri = Layout(root).label_shard(label_set, shard)
    with _open_labels(uri) as (file, kind):
        table = file.read(columns=kind.schema.names, use_threads=False)
    return with_files(table, kind, _tar(uri)) if kind.dense else table


def _labels_of(root: str, label_set: str, record: type[L], tombstones: Tombstones) -> Iterator[tuple[str, L]]:
    for shard in labelled_shards(root, label_set):
        forgotten, uri = forgotten_keys(root, shard, tombstones), Layout(root).label_shard(label_set, shard)
        for key, labels in _labels_in(uri, forgotten):
            if not isinstance(labels, record):
                raise DataError(f"{uri} holds {labels.kind}, its label set {record.kind}; {_relabel(uri)}")
            yield key, labels


def _labels_in(uri: str, forgotten: Collection[str]) -> Iterator[tuple[str, Labels]]:
    with _open_labels(uri) as (file, kind):
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group, columns=kind.schema.names, use_threads=False)
            _shape(kind).check_filled(uri, table)
            for row, (key, status) in enumerate(zip(table["key"].to_pylist(), table["status"].to_pylist(), strict=True)):
                if status == "ok" and key not in forgotten:
                    yield key, _labels(uri, table, row)


def _labels(uri: str, table: pa.Table, row: int, frames: Sequence[int] | None = None) -> Labels:
    files: dict[str, bytes] = {}
    if MEMBERS in table.column_names:
        key, num_frames, members = (table[name][row].as_py() for name in ("key", "num_frames", MEMBERS))
        files = read_files(_tar(uri), key, members or (), range(num_frames or 0) if frames is None else frames)
    return decode_labels(table, row, files, where=uri)


@contextmanager
def _open_labels(uri: str) -> Iterator[tuple[pq.ParquetFile, LabelKind]]:
    with open_table(uri, "labels") as file:
        kind = kind_of_file(file.schema_arrow.metadata)
        _shape(kind).check(uri, file.schema_arrow)
        try:
            yield file, kind
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(f"{uri}: cannot be read ({' '.join(str(error).split())}); if it stays so, {_relabel(uri)}") from error


def _shape(kind: LabelKind) -> TableShape:
    return TableShape(schema=kind.schema, filled=_FILLED)


def _locate(metadata: pq.FileMetaData, row: int) -> tuple[int | None, int]:
    """Row group of a file's row, and the row's place in it; None if the file is shorter."""
    for group in range(metadata.num_row_groups):
        length = metadata.row_group(group).num_rows
        if row < length:
            return group, row
        row -= length
    return None, row


def _tar(uri: str) -> str:
    """The sidecar tar of a label file."""
    return f"{uri.removesuffix('.parquet')}.tar"


def _relabel(uri: str) -> str:
    return f"delete {uri.rsplit('/', 1)[-1]} and run jobs/pseudolabel.py again"
