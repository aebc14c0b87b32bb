"""Clips and sources that failed before: which errors still stand, and which clips can be cut now."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from jobs.console import ProgressLine
from jobs.execution.run import Executor
from jobs.sharding.stages import RetryStage
from pipeline.shards.errors_table import ErrorRow, read_error_tables
from pipeline.shards.plan import PlannedClip, read_plan_columns, read_shard_plan
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.probing import MISSING


@dataclass(frozen=True, slots=True)
class FailedClip:
    """A clip without video, and why."""

    shard: int
    row: ErrorRow


def failed_clips(root: str) -> list[FailedClip]:
    """Clips that failed when they were last tried, in plan order."""
    again = read_plan_columns(root, ["key", "shard", "attempt"])
    again = again.filter(pc.greater(pc.fill_null(again["attempt"], 1), 1))
    latest = dict(zip(again["key"].to_pylist(), again["shard"].to_pylist(), strict=True))  # the later row wins
    tables = read_error_tables(root, "shards")
    return [FailedClip(shard, row) for shard, rows in tables.items() for row in rows if row.key and latest.get(row.key, shard) <= shard]


def good_retries(root: str, policy: ClipPolicy, executor: Executor, *, all_errors: bool) -> list[PlannedClip]:
    """Failed clips that can be cut now, to be planned again under their keys. They are tried first: what still fails adds no shard.

    Args:
        all_errors: every failed clip; else those whose source could not be found or that failed in a way that nobody foresaw.
    """
    chosen = [each for each in failed_clips(root) if all_errors or each.row.unexpected or each.row.exception == MISSING]
    clips = list(_planned(root, chosen))
    if not clips:
        return []
    with ProgressLine("trying again", len(clips), "clips") as progress:
        results = executor.run(RetryStage(root, clips, policy), range(len(clips)), progress).results
    return [replace(clip, attempt=clip.attempt + 1) for place, clip in enumerate(clips) if results.get(place)]


def _planned(root: str, failed: Iterable[FailedClip]) -> Iterable[PlannedClip]:
    by_shard: dict[int, set[str]] = {}
    for each in failed:
        by_shard.setdefault(each.shard, set()).add(each.row.key)
    for shard, keys in sorted(by_shard.items()):
        yield from (clip for clip in read_shard_plan(root, shard) if clip.key in keys)


def standing_errors(root: str, current: Iterable[ErrorRow]) -> list[ErrorRow]:
    """Errors that stand: rows and sources as this run saw them, spans that earlier parts could not plan, clips that failed."""
    now = list(current)
    seen = {(row.source, row.message) for row in now}
    planned = set(read_plan_columns(root, ["source"])["source"].unique().to_pylist())
    earlier = [
        row
        for rows in read_error_tables(root, "plan").values()
        for row in rows
        if (row.source, row.message) not in seen and not (row.stage == "probe" and row.source in planned)
    ]
    clips = [each.row for each in failed_clips(root)]
    samples = [row for rows in read_error_tables(root, "shards").values() for row in rows if not row.key]
    return [*now, *earlier, *samples, *clips]
