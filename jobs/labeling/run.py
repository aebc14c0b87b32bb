"""Labelling shard after shard, in this process or on a pool of Ray actors."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from jobs.console import ProgressLine
from jobs.execution.suspects import BrokenStageError, Suspects
from jobs.labeling.items import ItemSummary, LabelItem, items_of
from jobs.labeling.pool_config import PoolConfig
from jobs.labeling.shards import LabelledRows, ShardToLabel, commit_labels, open_shard, suspect_rows
from jobs.labeling.worker import LabelledItem, LabelWorker, WorkerSettings
from pipeline.border import border
from pipeline.errors import ConfigError, TrackmillError, UnexpectedError


@dataclass(slots=True)
class LabelTotals:
    """Sums over all items of a run."""

    ok: int = 0
    failed: int = 0
    screened: int = 0
    quarantined: int = 0
    degraded: int = 0  # of `ok`
    points: int = 0
    busy_s: float = 0.0
    waited_s: float = 0.0
    shards: int = 0
    lost_shards: dict[int, str] = field(default_factory=dict)  # not committed, and why
    lost_trace: str | None = None  # traceback of the first that nobody foresaw

    def add(self, summary: ItemSummary) -> None:
        """Count one item."""
        self.ok, self.failed, self.points = self.ok + summary.ok, self.failed + summary.failed, self.points + summary.points
        self.screened, self.degraded = self.screened + summary.screened, self.degraded + summary.degraded
        self.quarantined += summary.quarantined
        self.busy_s, self.waited_s = self.busy_s + summary.busy_s, self.waited_s + summary.waited_s

    def lose(self, shard: int, error: Exception) -> None:
        """Note that a shard was not committed; the first reason is kept."""
        self.lost_shards.setdefault(shard, str(error))
        if isinstance(error, UnexpectedError):
            self.lost_trace = self.lost_trace or error.trace


def label_inline(
    settings: WorkerSettings, label_set: str, shards: Sequence[int], *, config: PoolConfig, progress: ProgressLine
) -> LabelTotals:
    """Label in this process; the next items are fetched and decoded while one is labelled.

    A shard that cannot be read or written is reported in the totals, not raised.
    Raises: ConfigError; BrokenStageError if the first clips all failed unexpectedly at one place.
    """
    worker, totals = LabelWorker(settings), LabelTotals()
    suspects: Suspects[LabelledRows] = Suspects()

    def commit(rows: LabelledRows) -> None:
        with _costs_its_shard(rows.shard.number, totals):
            commit_labels(settings.root, label_set, rows)
            totals.shards += 1

    for shard in shards:
        with _costs_its_shard(shard, totals):
            rows = _labelled(worker, open_shard(settings.root, label_set, shard), config=config, totals=totals, progress=progress)
            found = None if suspects.works else suspect_rows(rows)
            if found is None:
                suspects.works = suspects.works or bool(rows.shard.entries)
                commit(rows)
            else:
                suspects.hold(rows, found)
        for held in suspects.release():
            commit(held)
    for held in suspects.end():
        commit(held)
    return totals


@contextmanager
def _costs_its_shard(shard: int, totals: LabelTotals) -> Iterator[None]:
    """What goes wrong with a whole shard is noted, and the others are done."""
    try:
        with border(f"shard {shard:06d}"):
            yield
    except (ConfigError, BrokenStageError):
        raise
    except TrackmillError as error:
        totals.lose(shard, error)


def _labelled(worker: LabelWorker, shard: ShardToLabel, *, config: PoolConfig, totals: LabelTotals, progress: ProgressLine) -> LabelledRows:
    tables = []
    unexpected: dict[str, UnexpectedError] = {}
    for labelled in _ahead(worker, list(items_of(shard.number, shard.clips, config.clips_per_batch)), config.items_ahead):
        tables.append(labelled.table)
        unexpected.update(labelled.summary.unexpected)
        totals.add(labelled.summary)
        progress.advance(labelled.summary.clips, labelled.summary.errors)
    return LabelledRows(shard=shard, tables=tables, unexpected=unexpected)


def _ahead(worker: LabelWorker, items: Sequence[LabelItem], num_ahead: int) -> Iterator[LabelledItem]:
    """Results in order, so many items in work beside the one that is labelled."""
    with ThreadPoolExecutor(max_workers=num_ahead + 1) as pool:
        running: deque[Future[LabelledItem]] = deque()
        for item in items:
            running.append(pool.submit(worker.label_item, item))
            if len(running) > num_ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
