"""Labelling shard after shard, in this process or on a pool of Ray actors."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from jobs.console import ProgressLine
from jobs.labeling.items import ItemSummary, LabelItem, items_of
from jobs.labeling.pool_config import PoolConfig
from jobs.labeling.shards import commit_labels
from jobs.labeling.worker import LabelledItem, LabelWorker, WorkerSettings
from pipeline.shards.index import read_index


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

    def add(self, summary: ItemSummary) -> None:
        """Count one item."""
        self.ok, self.failed, self.points = self.ok + summary.ok, self.failed + summary.failed, self.points + summary.points
        self.screened, self.degraded = self.screened + summary.screened, self.degraded + summary.degraded
        self.quarantined += summary.quarantined
        self.busy_s, self.waited_s = self.busy_s + summary.busy_s, self.waited_s + summary.waited_s


def label_inline(
    settings: WorkerSettings, label_set: str, shards: Sequence[int], *, config: PoolConfig, progress: ProgressLine
) -> LabelTotals:
    """Label in this process; the next items are fetched and decoded while one is labelled. Raises what the first failing read raises."""
    worker, totals = LabelWorker(settings), LabelTotals()
    for shard in shards:
        entries = read_index(settings.root, shard)
        tables = []
        for labelled in _ahead(worker, list(items_of(shard, entries, config.clips_per_batch)), config.items_ahead):
            tables.append(labelled.table)
            totals.add(labelled.summary)
            progress.advance(labelled.summary.clips, labelled.summary.errors)
        commit_labels(settings.root, label_set, shard, tables, entries)
        totals.shards += 1
    return totals


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
