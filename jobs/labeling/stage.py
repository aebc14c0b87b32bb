"""Labelling as a stage: items of a few clips go to labelers, and a shard is committed when the rows of all its items are there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from jobs.console import ProgressLine
from jobs.execution.driver import drive
from jobs.execution.held import HeldUnits
from jobs.execution.run import Executor
from jobs.execution.tasks import Died, Failed, Finished, Task
from jobs.execution.units import PoolConfig
from jobs.labeling.outcome import Unlabelled, encode_clip
from jobs.labeling.shards import ItemSummary, LabelItem, LabelledRows, ShardToLabel, commit_labels, items_of, open_shard, suspect_rows
from jobs.labeling.worker import LabelledItem
from pipeline.border import border
from pipeline.errors import UnexpectedError


@dataclass(slots=True)
class LabelTotals:
    """Sums over all items of a run."""

    ok: int = 0
    failed: int = 0
    screened: int = 0
    quarantined: int = 0
    degraded: int = 0  # of `ok`
    values: int = 0
    busy_s: float = 0.0
    waited_s: float = 0.0
    shards: int = 0
    lost_shards: dict[int, str] = field(default_factory=dict)  # not committed, and why
    lost_trace: str | None = None  # traceback of the first that nobody foresaw

    def add(self, summary: ItemSummary) -> None:
        """Count one item."""
        self.ok, self.failed, self.values = self.ok + summary.ok, self.failed + summary.failed, self.values + summary.values
        self.screened, self.degraded = self.screened + summary.screened, self.degraded + summary.degraded
        self.quarantined += summary.quarantined
        self.busy_s, self.waited_s = self.busy_s + summary.busy_s, self.waited_s + summary.waited_s

    def lose(self, shard: int, error: Exception) -> None:
        """Note that a shard was not committed; the first reason is kept."""
        self.lost_shards.setdefault(shard, str(error))
        if isinstance(error, UnexpectedError):
            self.lost_trace = self.lost_trace or error.trace


class ItemWorker(Protocol):
    """Makes the rows of items. It may be asked from several threads."""

    def label_item(self, item: LabelItem) -> LabelledItem:
        """Rows of the item's clips. A clip that fails becomes a row that says why."""
        ...


class StageSettings(Protocol):
    """What every worker of a stage is sent. It must pickle."""

    @property
    def root(self) -> str:
        """The dataset."""
        ...

    @property
    def kind(self) -> str:
        """The kind of the labels."""
        ...

    def make_worker(self) -> ItemWorker:
        """Set a worker up. Raises: ConfigError if it cannot be made as asked."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelStage:
    """Stage of labelling."""

    settings: StageSettings
    label_set: str
    clips_per_batch: int = 1

    def run(self, executor: Executor, shards: Sequence[int], *, pool: PoolConfig, progress: ProgressLine) -> LabelTotals:
        """Label shards on a pool of labelers. A shard whose bytes cannot be read or written is reported in the totals, not raised.

        Raises: ConfigError, StorageError if a labeler cannot be made; BrokenStageError if the first clips all failed unexpectedly at
            one place.
        """
        run = _Labelling(self, progress)
        drive(run, executor.pool(partial(_make_labeler, self.settings), pool, name="labeler"), shards, executor.limits)
        return run.totals


def _make_labeler(settings: StageSettings) -> Callable[[LabelItem], tuple[pa.Table, ItemSummary]]:
    return partial(_label, settings.make_worker())


def _label(worker: ItemWorker, item: LabelItem) -> tuple[pa.Table, ItemSummary]:
    with border(f"shard {item.shard:06d}"):
        labelled = worker.label_item(item)
    return labelled.table, labelled.summary


def _commit(root: str, label_set: str, rows: LabelledRows, *tables: pa.Table) -> None:
    """Commit one shard; `rows` has no tables: they come apart, from where they were made."""
    with border(f"shard {rows.shard.number:06d}"):
        commit_labels(root, label_set, replace(rows, tables=tables))


@dataclass(slots=True)
class _OpenShard:
    """A shard of which some items are still out."""

    shard: ShardToLabel
    missing: int  # clips
    tables: dict[int, Any] = field(default_factory=dict)  # by the place of the item's first clip: the table, or a reference to it
    unexpected: dict[str, UnexpectedError] = field(default_factory=dict)  # by key

    def rows(self) -> LabelledRows:
        """Rows that it is committed from, without the tables."""
        return LabelledRows(shard=self.shard, tables=(), unexpected=self.unexpected)


class _Labelling:
    """The stage while it runs, as its driver sees it."""

    def __init__(self, stage: LabelStage, progress: ProgressLine) -> None:
        self._stage, self._progress = stage, progress
        self._open: dict[int, _OpenShard] = {}
        self._held: HeldUnits[_OpenShard] = HeldUnits()
        self.totals = LabelTotals()

    def open(self, unit: int) -> Iterator[Task]:
        with border(f"shard {unit:06d}"):
            opened = open_shard(self._stage.settings.root, self._stage.label_set, unit)
        self._open[unit] = _OpenShard(opened, len(opened.clips))
        if not opened.clips:
            yield from self._complete(unit)
        for item in items_of(unit, opened.clips, self._stage.clips_per_batch):
            if unit in self._open:  # not lost meanwhile
                yield _task(item)

    def finished(self, done: Finished) -> Iterator[Task]:
        unit = done.task.unit
        if done.task.kind == "commit":
            self.totals.shards += 1
            return
        summary: ItemSummary = done.told
        self.totals.add(summary)
        self._progress.advance(summary.clips, summary.errors)
        if unit in self._open:
            self._open[unit].unexpected.update(summary.unexpected)
            yield from self._store(done.task.work, done.kept)

    def failed(self, lost: Failed) -> Iterator[Task]:
        self.lost(lost.task.unit, lost.error)
        return iter(())

    def lost(self, unit: int, error: Exception, trace: str | None = None) -> None:
        self._open.pop(unit, None)
        self.totals.lose(unit, error)

    def isolate(self, task: Task, died: Died) -> Iterator[Task]:
        if task.unit in self._open:
            yield from (_task(item, kind="isolated") for item in task.work.singles())

    def quarantine(self, task: Task, reason: str) -> Iterator[Task]:
        (entry,) = task.work.entries
        error = f"clip {entry.key}: {reason}; label it with another labeler or drop it"
        self.totals.quarantined += 1
        self._progress.advance(1, 1)
        yield from self._store(
            task.work, encode_clip(entry, Unlabelled(status="quarantined", reason=error), self._stage.settings.kind).table
        )

    def release(self) -> Iterator[Task]:
        yield from map(self._commit_of, self._held.release())

    def end(self) -> Iterator[Task]:
        yield from map(self._commit_of, self._held.end())

    def _store(self, item: LabelItem, table: Any) -> Iterator[Task]:
        shard = self._open[item.shard]
        shard.tables[item.first] = table
        shard.missing -= len(item.entries)
        if not shard.missing:
            yield from self._complete(item.shard)

    def _complete(self, unit: int) -> Iterator[Task]:
        done = self._open.pop(unit)
        found = None if self._held.works else suspect_rows(done.rows())
        if found is not None:
            self._held.hold(done, found)
            return
        if done.shard.entries:
            self._held.clear()
        yield self._commit_of(done)

    def _commit_of(self, done: _OpenShard) -> Task:
        tables = [done.tables[first] for first in sorted(done.tables)]
        work = (_commit, self._stage.settings.root, self._stage.label_set, done.rows(), *tables)
        return Task(unit=done.shard.number, size=len(done.shard.clips), kind="commit", work=work)


def _task(item: LabelItem, *, kind: Any = "shared") -> Task:
    part = item.entries[0].key if len(item.entries) == 1 else None
    return Task(unit=item.shard, size=len(item.entries), work=item, kind=kind, part=part)
