"""Clips and sources to be forgotten (take-down requests). Every reader obeys; no video byte is rewritten."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from pipeline import storage
from pipeline.layout import Layout
from pipeline.shards.index import ClipEntry, read_index
from pipeline.tables import TableShape, read_table, write_table

_SCHEMA = pa.schema({"key": pa.string(), "source_id": pa.string()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstones:
    """Keys of single clips, and ids of sources all of whose clips are to be forgotten."""

    keys: frozenset[str] = frozenset()
    source_ids: frozenset[str] = frozenset()

    def cover(self, entry: ClipEntry) -> bool:
        """Whether this clip must not be shown."""
        return entry.key in self.keys or entry.source_id in self.source_ids

    def joined(self, other: "Tombstones") -> "Tombstones":
        """The union of both."""
        return Tombstones(keys=self.keys | other.keys, source_ids=self.source_ids | other.source_ids)


def forgotten_keys(root: str, shard: int, tombstones: Tombstones) -> frozenset[str]:
    """Keys of one shard's clips that must not be shown, and of single clips elsewhere. Opens the index only if a whole source is named."""
    if not tombstones.source_ids:
        return tombstones.keys
    return tombstones.keys | {entry.key for entry in read_index(root, shard) if tombstones.cover(entry)}


def read_tombstones(root: str) -> Tombstones:
    """Tombstones of a dataset; empty if it has no such file."""
    uri = Layout(root).tombstones
    if not storage.exists(uri):
        return Tombstones()
    table = read_table(uri, "tombstones", shape=TableShape(schema=_SCHEMA))
    keys, source_ids = (frozenset(table[name].drop_null().to_pylist()) for name in ("key", "source_id"))
    return Tombstones(keys=keys, source_ids=source_ids)


def write_tombstones(root: str, keys: Iterable[str] = (), source_ids: Iterable[str] = ()) -> Tombstones:
    """Add clips and sources to those to be forgotten; returns all of these. What the file names already stays: nothing is taken back.

    Two requests at once wait for each other.
    """
    layout = Layout(root)
    with storage.only_one(layout.lock("tombstones"), f"the tombstones of {root}"):
        joined = read_tombstones(root).joined(Tombstones(keys=frozenset(keys), source_ids=frozenset(source_ids)))
        rows = [{"key": key, "source_id": None} for key in sorted(joined.keys)]
        rows += [{"key": None, "source_id": source_id} for source_id in sorted(joined.source_ids)]
        write_table(layout.tombstones, pa.Table.from_pylist(rows, schema=_SCHEMA), "tombstones")
    return joined
