"""jobs/audit.py screen without its command line: the shards that are not screened yet, then what all of them say."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs.auditing.stages import ScreenStage
from jobs.console import ProgressLine
from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.execution.threads import pin_threads
from pipeline import storage
from pipeline.audit.screening import measure_stored
from pipeline.audit.stored.screen import claim_rules
from pipeline.audit.verdict import ScreenRules
from pipeline.errors import ConfigError, DataError
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow, read_errors
from pipeline.shards.index import read_index
from pipeline.shards.plan import plan_uris
from pipeline.tables import read_table

_SHOWN_ERRORS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreeningConfig:
    """All that jobs/audit.py screen is asked for."""

    root: str
    executor: Executor
    rules: ScreenRules = ScreenRules()


@dataclass(slots=True)
class ScreenTotals:
    """Sums over the screens of all shards."""

    clips: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # a clip counts once for each of its reasons
    frames: int = 0  # of the clips that were measured
    frames_dropped: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreeningOutcome:
    """Outcome of the job."""

    totals: ScreenTotals  # of all shards screened so far
    num_shards: int  # of this run
    num_clips: int  # of this run
    already_done: int  # shards
    not_cut: int  # planned shards without a commit
    video_s: float  # of the clips measured in this run
    cpu_s: float  # spent on them
    elapsed_s: float
    first_errors: tuple[ErrorRow, ...]
    unexpected: tuple[ErrorRow, ...] = ()  # those that nobody foresaw; the next run tries them again


def screen_dataset(config: ScreeningConfig, *, dry_run: bool) -> ScreeningOutcome:
    """Screen every shard that is cut and not screened yet. A dry run measures one clip, for its estimate, and writes nothing.

    Raises: ConfigError for a root without a plan, or one screened by other rules; StorageError if something could not be committed.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/shard.py first, or check --root")
    with storage.only_one(None if dry_run else Layout(root).lock("screen"), f"the screen of {root}"):
        return _screen_missing(config, root, dry_run=dry_run)


def _screen_missing(config: ScreeningConfig, root: str, *, dry_run: bool) -> ScreeningOutcome:
    todo = shards_to_do(root, needs=Layout(root).shards, makes=Layout(root).screen, errors="screen")
    started = time.perf_counter()
    video_s, cpu_s = 0.0, 0.0
    if dry_run:
        video_s, cpu_s = _try_one(root, todo.missing)
    else:
        claim_rules(root, config.rules)
        with config.executor.session(), ProgressLine("screening", todo.num_clips(todo.missing), "clips") as progress:
            report = config.executor.run(ScreenStage(root, config.rules, todo.sizes), todo.missing, progress)
        video_s = sum(result.video_s for result in report.results.values())
        cpu_s = sum(result.cpu_s for result in report.results.values())
    errors = read_errors(root, "screen")
    return ScreeningOutcome(
        totals=screen_totals(root, sorted((*todo.done, *todo.again)) if dry_run else todo.ready),
        num_shards=len(todo.missing),
        num_clips=todo.num_clips(todo.missing),
        already_done=len(todo.done),
        not_cut=len(todo.not_ready),
        video_s=video_s,
        cpu_s=cpu_s,
        elapsed_s=time.perf_counter() - started,
        first_errors=tuple(errors[:_SHOWN_ERRORS]),
        unexpected=tuple(row for row in errors if row.unexpected),
    )


def screen_totals(root: str, shards: Sequence[int]) -> ScreenTotals:
    """Verdicts and reasons of screened shards, counted."""
    totals = ScreenTotals()
    for shard in shards:
        table = read_table(Layout(root).screen_shard(shard), "screen", ["verdict", "reasons", "num_frames"])
        for row in table.to_pylist():
            frames = row["num_frames"] or 0
            totals.clips += 1
            totals.decisions[row["verdict"]] += 1
            totals.reasons.update(row["reasons"])
            totals.frames += frames
            totals.frames_dropped += frames if row["verdict"] == "drop" else 0
    return totals


def _try_one(root: str, shards: Sequence[int]) -> tuple[float, float]:
    """(seconds of video, CPU seconds) of the first clip that can be measured; zeros if there is none."""
    pin_threads(1)
    for shard in shards:
        for entry in read_index(root, shard):
            record, started = entry.record, time.process_time()
            if record is None:
                continue
            try:
                measure_stored(root, entry, record)
            except DataError:
                continue
            return record.end_s - record.start_s, time.process_time() - started
    return 0.0, 0.0
