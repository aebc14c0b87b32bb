"""Shards to be labelled, in items of a few clips, and the commit of one when all its clips are there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline import storage
from pipeline.audit.stored.audit_set import list_audits, read_audit_set
from pipeline.errors import UnexpectedError
from pipeline.labels import read_encoded_rows, read_label_set, write_label_tables
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow, errors_beside, read_unit_errors
from pipeline.shards.index import ClipEntry, read_index
from pipeline.shards.suspects import SuspectUnitError, suspect


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardToLabel:
    """A shard, all its clips, and which of them are to be labelled now; the rows of the others are kept."""

    number: int
    entries: Sequence[ClipEntry]
    keys: frozenset[str] | None = None  # None: all of them

    @property
    def clips(self) -> Sequence[ClipEntry]:
        """The clips to be labelled now, in the shard's order."""
        return [entry for entry in self.entries if self.keys is None or entry.key in self.keys]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelItem:
    """Consecutive clips of a shard that share a batch; `first` is the place of the first among the shard's clips."""

    shard: int
    first: int
    entries: tuple[ClipEntry, ...]

    def singles(self) -> list["LabelItem"]:
        """The same clips, each an item of its own."""
        return [LabelItem(shard=self.shard, first=self.first + place, entries=(entry,)) for place, entry in enumerate(self.entries)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemSummary:
    """Summary of an item for the driver; the rows themselves go from worker to writer."""

    ok: int
    failed: int
    quarantined: int  # did not fit into memory; clips that cost their worker are counted by the driver
    screened: int  # left out on purpose
    degraded: int  # of `ok`: labelled otherwise than configured, such as on a lower rung of the memory ladder
    values: int  # labelled: point-frames of tracks, pixels of depth
    busy_s: float  # spent in the labeler, without the waiting
    waited_s: float  # the labeler stood still, waiting for frames: before the item, and within long clips
    unexpected: Mapping[str, UnexpectedError] = field(default_factory=dict)  # by key: of the failed ones, those that nobody foresaw

    @property
    def clips(self) -> int:
        """Number of clips of the item."""
        return self.ok + self.failed + self.quarantined + self.screened

    @property
    def errors(self) -> int:
        """Number of clips that went wrong."""
        return self.failed + self.quarantined


def items_of(shard: int, entries: Sequence[ClipEntry], clips_per_batch: int) -> Iterator[LabelItem]:
    """A shard's clips in batches."""
    for first in range(0, len(entries), clips_per_batch):
        yield LabelItem(shard=shard, first=first, entries=tuple(entries[first : first + clips_per_batch]))


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledRows:
    """Rows that a shard is committed from."""

    shard: ShardToLabel
    tables: Sequence[pa.Table]  # together one row per clip labelled now, in the shard's order
    unexpected: Mapping[str, UnexpectedError] = field(default_factory=dict)  # by key


def open_shard(root: str, label_set: str, shard: int) -> ShardToLabel:
    """A shard with what is to be labelled of it: everything, or where it is labelled, the clips whose failure nobody foresaw."""
    entries = read_index(root, shard)
    if not storage.exists(Layout(root).label_shard(label_set, shard)):
        return ShardToLabel(number=shard, entries=entries)
    again = frozenset(row.key for row in read_unit_errors(root, f"labels/{label_set}", shard) if row.unexpected)
    return ShardToLabel(number=shard, entries=entries, keys=again)


def num_unexpected(root: str, label_set: str, shards: Sequence[int]) -> int:
    """Number of clips of labelled shards that are to be labelled again."""
    return sum(row.unexpected for shard in shards for row in read_unit_errors(root, f"labels/{label_set}", shard))


def suspect_rows(rows: LabelledRows) -> SuspectUnitError | None:
    """Error rows that hold a shard back: all its clips failed unexpectedly at one place."""
    if rows.shard.keys is not None:  # labelled before: the other clips show that the labeler works
        return None
    sources = {entry.key: entry.source for entry in rows.shard.entries}
    errors = [ErrorRow.of(error, stage="labels", key=key, source=sources[key]) for key, error in rows.unexpected.items()]
    return suspect(errors, len(sources))


def commit_labels(root: str, label_set: str, rows: LabelledRows) -> None:
    """Publish the errors, then the labels of one shard. Rows of clips that were not labelled now stay as they are."""
    shard, stage, kind = rows.shard, f"labels/{label_set}", read_label_set(root, label_set).kind
    table, sources = _merged(root, label_set, rows), {entry.key: entry.source for entry in shard.entries}
    errors = []
    for row in [] if table is None else table.select(["key", "status", "error"]).to_pylist():
        key, unexpected = row["key"], rows.unexpected.get(row["key"])
        if unexpected is not None:
            errors.append(ErrorRow.of(unexpected, stage=stage, key=key, source=sources[key]))
        elif row["status"] in ("failed", "quarantined"):
            errors.append(ErrorRow(stage=stage, key=key, source=sources[key], exception=row["status"], message=str(row["error"])))
    if shard.keys is not None:
        _forget_audits(root, label_set, shard.number)
    with errors_beside(root, stage, shard.number, errors, commit=Layout(root).label_shard(label_set, shard.number)):
        write_label_tables(root, label_set, shard=shard.number, tables=[] if table is None else [table], kind=kind)


def _forget_audits(root: str, label_set: str, shard: int) -> None:
    """Remove what audits said of the old labels of a shard, so that their next run judges the new ones."""
    for name in list_audits(root):
        uri, audit = Layout(root).audit_shard(name, shard), read_audit_set(root, name)
        if label_set in (audit.label_set, audit.second) and storage.exists(uri):
            storage.remove(uri)


def _merged(root: str, label_set: str, rows: LabelledRows) -> pa.Table | None:
    """One row per clip of the shard, in its order; None for an empty shard."""
    shard = rows.shard
    if not shard.entries:
        return None
    if shard.keys is None:
        return pa.concat_tables(list(rows.tables))
    before = read_encoded_rows(root, label_set, shard.number).replace_schema_metadata(None)
    table = pa.concat_tables([before, *(each.replace_schema_metadata(None) for each in rows.tables)])
    last = {key: place for place, key in enumerate(table["key"].to_pylist())}  # what was labelled now wins
    return table.take([last[entry.key] for entry in shard.entries])
