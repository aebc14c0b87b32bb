"""One labeler as a Ray actor, and the driver's view of it."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import ray

from jobs.execution.units import Limits
from jobs.labeling.items import ItemSummary, LabelItem
from jobs.labeling.shards import LabelledRows, commit_labels
from jobs.labeling.worker import LabelWorker, WorkerSettings
from pipeline.border import border


class LabelActor:
    """LabelWorker behind Ray. Rows and summary are returned apart, so that rows go from worker to writer, not through the driver."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    def ready(self) -> None:
        """Make the labeler; to be called once, and before any item. Here, not in the constructor, so that errors keep their type."""
        self._worker = LabelWorker(self._settings)

    def label_item(self, item: LabelItem) -> tuple[Any, ItemSummary]:
        """(encoded rows, summary)."""
        with border(f"shard {item.shard:06d}"):
            labelled = self._worker.label_item(item)
        return labelled.table, labelled.summary


@ray.remote(num_cpus=0)
def commit_shard(root: str, label_set: str, rows: LabelledRows, *tables: Any) -> None:
    """Commit the labels of one shard, from tables that lie in the object store; `rows` has none."""
    with border(f"shard {rows.shard.number:06d}"):
        commit_labels(root, label_set, replace(rows, tables=tables))


@dataclass(frozen=True, slots=True)
class InFlight:
    """An item that a worker holds, and where its rows will be."""

    item: LabelItem
    rows: ray.ObjectRef


@dataclass(slots=True, eq=False)
class PoolWorker:
    """One actor and what it has been given, oldest first."""

    handle: Any
    ready: ray.ObjectRef
    up: bool = False  # the labeler is made; only then are items given. Until then the cluster may still be looking for room
    running: dict[ray.ObjectRef, InFlight] = field(default_factory=dict)  # by the summary's reference
    alone: bool = False  # it works on a suspect, and must get nothing else
    news_at: float = 0.0  # when it last finished an item, or was given one while idle
    stopped_for: str = ""  # why the driver killed it

    def give(self, item: LabelItem, *, alone: bool) -> None:
        """Send it an item."""
        if not self.running:
            self.news_at = time.monotonic()
        rows, summary = self.handle.label_item.options(num_returns=2).remote(item)
        self.running[summary] = InFlight(item, rows)
        self.alone = alone

    def take(self, ref: ray.ObjectRef) -> InFlight:
        """Note that it has finished an item."""
        self.news_at, self.alone = time.monotonic(), False
        return self.running.pop(ref)

    def stop_if_late(self, limits: Limits) -> None:
        """Kill it when the oldest item is out for longer than its clips are allowed."""
        if not self.running or self.stopped_for:
            return
        clips = len(next(iter(self.running.values())).item.entries)
        if time.monotonic() - self.news_at > limits.part_s * clips:
            self.stopped_for = f"it took longer than {limits.part_s:g} s"
            ray.kill(self.handle)
