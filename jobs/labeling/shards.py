"""Which shards are to be labelled, and the commit of one when all its clips are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline import storage
from pipeline.audit.stored.audit_set import list_audits, read_audit_set
from pipeline.errors import UnexpectedError
from pipeline.labels import read_encoded_rows, read_label_set, write_label_tables
from pipeline.layout import Layout, committed
from pipeline.shards.errors_table import ErrorRow, errors_beside, read_unit_errors, units_to_retry
from pipeline.shards.index import ClipEntry, read_index
from pipeline.shards.plan import read_plan_counts
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
class LabelledRows:
    """What a shard is to be committed from."""

    shard: ShardToLabel
    tables: Sequence[pa.Table]  # together one row per clip labelled now, in the shard's order
    unexpected: Mapping[str, UnexpectedError] = field(default_factory=dict)  # by key


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardsToLabel:
    """What a run has to do."""

    fresh: tuple[int, ...]  # cut, and not labelled yet
    again: tuple[int, ...]  # labelled, but for clips that failed in a way that nobody foresaw
    not_cut: tuple[int, ...]  # planned only


def shards_to_label(root: str, label_set: str) -> ShardsToLabel:
    """Look at what is there."""
    planned = set(read_plan_counts(root).shards.tolist())
    cut = planned & committed(storage.join(root, "shards"))
    labelled = committed(Layout(root).label_set(label_set))
    return ShardsToLabel(
        fresh=tuple(sorted(cut - labelled)),
        again=tuple(shard for shard in units_to_retry(root, f"labels/{label_set}") if shard in cut & labelled),
        not_cut=tuple(sorted(planned - cut)),
    )


def open_shard(root: str, label_set: str, shard: int) -> ShardToLabel:
    """A shard with what is to be labelled of it: everything, or where it is labelled, the clips whose failure nobody foresaw."""
    entries = read_index(root, shard)
    if not storage.exists(Layout(root).label_shard(label_set, shard)):
        return ShardToLabel(number=shard, entries=entries)
    again = frozenset(row.key for row in read_unit_errors(root, f"labels/{label_set}", shard) if row.unexpected)
    return ShardToLabel(number=shard, entries=entries, keys=again)


def num_unexpected(root: str, label_set: str, shards: Sequence[int]) -> int:
    """How many clips of labelled shards are to be labelled again."""
    return sum(row.unexpected for shard in shards for row in read_unit_errors(root, f"labels/{label_set}", shard))


def suspect_rows(rows: LabelledRows) -> SuspectUnitError | None:
    """What holds a shard back: all its clips failed unexpectedly at one place."""
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
