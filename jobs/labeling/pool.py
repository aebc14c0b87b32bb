"""A fixed pool of labeler actors on Ray: bounded work in flight, crashes charged to clips, quarantine, time limits."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from jobs.console import ProgressLine
from jobs.execution.suspects import Suspects
from jobs.labeling.actor import LabelActor, PoolWorker, commit_shard
from jobs.labeling.items import LabelItem, items_of
from jobs.labeling.outcome import Unlabelled, encode_clip
from jobs.labeling.pool_config import PoolConfig
from jobs.labeling.run import LabelTotals
from jobs.labeling.shards import LabelledRows, ShardToLabel, open_shard, suspect_rows
from jobs.labeling.worker import WorkerSettings
from pipeline.border import border
from pipeline.errors import ConfigError, StorageError, TrackmillError, UnexpectedError


def label_on_ray(
    settings: WorkerSettings, label_set: str, shards: Sequence[int], *, config: PoolConfig, progress: ProgressLine
) -> LabelTotals:
    """Label shards on a pool of actors. A shard whose bytes cannot be read or written is reported in the totals, not raised.

    Raises: ConfigError, StorageError if a labeler cannot be made on a worker.
    """
    pool = _Pool(settings, label_set, config, progress)
    pool.run(shards)
    return pool.totals


@dataclass(slots=True)
class _OpenShard:
    """A shard of which some items are still out."""

    shard: ShardToLabel
    missing: int  # clips
    tables: dict[int, ray.ObjectRef] = field(default_factory=dict)  # by the place of the item's first clip
    unexpected: dict[str, UnexpectedError] = field(default_factory=dict)  # by key

    def rows(self) -> LabelledRows:
        """What it is to be committed from, but for the tables."""
        return LabelledRows(shard=self.shard, tables=(), unexpected=self.unexpected)


class _Pool:
    def __init__(self, settings: WorkerSettings, label_set: str, config: PoolConfig, progress: ProgressLine) -> None:
        self._settings, self._label_set, self._config, self._progress = settings, label_set, config, progress
        self._workers: list[PoolWorker] = []
        self._suspects: deque[LabelItem] = deque()  # single clips that were in a process that died: each must run alone
        self._deaths: Counter[str] = Counter()  # by clip key
        self._open: dict[int, _OpenShard] = {}
        self._commits: dict[ray.ObjectRef, int] = {}
        self._held: Suspects[_OpenShard] = Suspects()
        self._exhausted = False  # every item was given once
        self.totals = LabelTotals()

    def run(self, shards: Sequence[int]) -> None:
        """Until every shard is committed or lost."""
        fresh = self._items(shards)
        self._workers = [self._hire() for _ in range(self._config.num_workers)]
        while True:
            self._feed(fresh)
            busy = [*self._commits, *(ref for worker in self._workers for ref in worker.running)]
            if self._exhausted and not busy and not self._suspects:
                held = self._held.end()
                if not held:
                    break
                for opened in held:
                    self._send(opened)
                continue
            done, _ = ray.wait([*busy, *(worker.ready for worker in self._workers if not worker.up)], num_returns=1, timeout=0.5)
            for ref in done:
                self._receive(ref)
            for worker in self._workers:
                worker.stop_if_late(self._config.limits)
            for opened in self._held.release():
                self._send(opened)
        for worker in self._workers:
            ray.kill(worker.handle)

    def _items(self, shards: Sequence[int]) -> Iterator[LabelItem]:
        """Items of one shard after the other; a shard is opened when its first item is asked for."""
        for shard in shards:
            try:
                with border(f"shard {shard:06d}"):
                    opened = open_shard(self._settings.root, self._label_set, shard)
            except ConfigError:
                raise
            except TrackmillError as error:
                self._lose(shard, error)
                continue
            self._open[shard] = _OpenShard(opened, len(opened.clips))
            if not opened.clips:
                self._commit(shard)
            yield from items_of(shard, opened.clips, self._config.clips_per_batch)

    def _hire(self) -> PoolWorker:
        config = self._config
        actor = ray.remote(LabelActor).options(
            num_cpus=config.num_cpus, num_gpus=config.num_gpus, max_concurrency=config.items_ahead + 1, max_restarts=0
        )
        handle: Any = actor.remote(self._settings)
        return PoolWorker(handle=handle, ready=handle.ready.remote())

    def _feed(self, fresh: Iterator[LabelItem]) -> None:
        """Give every worker that is up as much as it may hold."""
        up = [worker for worker in self._workers if worker.up]  # the others may still wait for a node, perhaps for ever
        for place, worker in enumerate(up):
            if self._suspects and not worker.running:
                worker.give(self._suspects.popleft(), alone=True)
            drains = worker.alone or (place == 0 and bool(self._suspects))
            while not drains and not self._exhausted and len(worker.running) <= self._config.items_ahead:
                item = next(fresh, None)
                if item is None:
                    self._exhausted = True
                else:
                    worker.give(item, alone=False)

    def _receive(self, ref: ray.ObjectRef) -> None:
        if ref in self._commits:
            self._committed(self._commits.pop(ref), ref)
            return
        worker = next((worker for worker in self._workers if ref == worker.ready or ref in worker.running), None)
        if worker is None:  # its worker died and was dealt with
            return
        try:
            summary = ray.get(ref)
        except RayTaskError as error:
            if ref == worker.ready:
                raise _not_made(error) from error
            flight = worker.take(ref)
            if isinstance(error.cause, ConfigError):
                raise error.cause from error
            self._lose(flight.item.shard, error.cause if isinstance(error.cause, TrackmillError) else error)
        except RayError as error:
            self._bury(worker, error)
        else:
            if ref == worker.ready:
                worker.up = True
                return
            flight = worker.take(ref)
            self.totals.add(summary)
            self._progress.advance(summary.clips, summary.errors)
            if flight.item.shard in self._open:
                self._open[flight.item.shard].unexpected.update(summary.unexpected)
            self._store(flight.item, flight.rows)

    def _bury(self, worker: PoolWorker, error: RayError) -> None:
        """Replace a dead worker. What it had in flight is charged; a clip that was alone in it is known to be guilty."""
        if not worker.up:
            raise StorageError(f"a labeler could not be made on a worker, its process died: {error}") from error
        ray.kill(worker.handle)
        flights = list(worker.running.values())
        sole = len(flights) == 1 and len(flights[0].item.entries) == 1
        for item in (single for flight in flights for single in flight.item.singles()):
            key = item.entries[0].key
            self._deaths[key] += 1
            if sole and self._deaths[key] >= self._config.limits.attempts:
                self._quarantine(item, worker.stopped_for or "the process died")
            else:
                self._suspects.append(item)
        self._workers[self._workers.index(worker)] = self._hire()

    def _quarantine(self, item: LabelItem, reason: str) -> None:
        entry = item.entries[0]
        error = (
            f"clip {entry.key}: its worker was lost {self._deaths[entry.key]} times ({reason}); label it with another labeler or drop it"
        )
        self.totals.quarantined += 1
        self._progress.advance(1, 1)
        self._store(item, ray.put(encode_clip(entry, Unlabelled(status="quarantined", reason=error)).table))

    def _store(self, item: LabelItem, rows: ray.ObjectRef) -> None:
        shard = self._open.get(item.shard)
        if shard is None:  # lost meanwhile
            return
        shard.tables[item.first] = rows
        shard.missing -= len(item.entries)
        if not shard.missing:
            self._commit(item.shard)

    def _commit(self, shard: int) -> None:
        done = self._open.pop(shard)
        found = None if self._held.works else suspect_rows(done.rows())
        if found is not None:
            self._held.hold(done, found)
            return
        if done.shard.entries:
            self._held.clear()
        self._send(done)

    def _send(self, done: _OpenShard) -> None:
        tables, number = [done.tables[first] for first in sorted(done.tables)], done.shard.number
        self._commits[commit_shard.remote(self._settings.root, self._label_set, done.rows(), *tables)] = number

    def _committed(self, shard: int, ref: ray.ObjectRef) -> None:
        try:
            ray.get(ref)
            self.totals.shards += 1
        except RayTaskError as error:
            self._lose(shard, error.cause if isinstance(error.cause, TrackmillError) else error)
        except RayError as error:  # a node went away with rows that were not committed yet
            self._lose(shard, StorageError(f"its rows were lost ({type(error).__name__}); run the same command again"))

    def _lose(self, shard: int, error: Exception) -> None:
        self._open.pop(shard, None)
        self.totals.lose(shard, error)


def _not_made(error: RayTaskError) -> TrackmillError:
    """What ends the job when a labeler cannot be made: the error of ours that it raised, or another's name and message."""
    if isinstance(error.cause, ConfigError):
        return ConfigError(str(error.cause))
    reason = str(error.cause) if isinstance(error.cause, TrackmillError) else f"{type(error.cause).__name__}: {error.cause}"
    return StorageError(f"a labeler could not be made on a worker: {reason}")
