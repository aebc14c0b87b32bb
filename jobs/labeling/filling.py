"""What all jobs share that make a label set: shards go to a pool of workers, and a shard that is lost is an error in the end."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer

from jobs.console import ProgressLine, counted
from jobs.execution.run import Executor
from jobs.execution.units import PoolConfig
from jobs.labeling.stage import LabelStage, LabelTotals
from pipeline.errors import ConfigError, StorageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """Outcome of a run."""

    totals: LabelTotals
    elapsed_s: float  # from the making of the first worker to the last commit; 0 where nothing was to be done


def fill_shards(
    stage: LabelStage, executor: Executor, shards: Sequence[int], *, pool: Callable[[], PoolConfig], num_clips: int, doing: str
) -> Filled:  # fmt: skip
    """Label shards and commit them.

    Args:
        pool: gives the pool, once there is a Ray to ask for room.
        num_clips: of the shards, for the progress line; doing: its first word.
    Raises: StorageError, once the other shards are done, if some could not be committed.
    """
    with executor.session(), ProgressLine(doing, num_clips, "clips") as progress:
        started = time.perf_counter()
        totals = stage.run(executor, shards, pool=pool(), progress=progress)
        elapsed_s = time.perf_counter() - started
    if totals.lost_trace:
        typer.echo(totals.lost_trace, err=True)
    if totals.lost_shards:
        shard, reason = sorted(totals.lost_shards.items())[0]
        raise StorageError(
            f"labels of {len(totals.lost_shards)} of {counted(len(shards), 'shard')} not committed; the first, {shard:06d}: {reason}"
        )
    return Filled(totals=totals, elapsed_s=elapsed_s)


def num_workers_for(executor: Executor, wanted: int | None, *, num_cpus: float, num_gpus: float) -> int:
    """As many as wanted, else as many as the cluster has room for; inline one. Raises: ConfigError if there is no room, now or ever."""
    if executor.name == "inline":
        return 1
    from jobs.execution import ray_session

    had_cpus, had_gpus = ray_session.num_cpus(), ray_session.num_gpus()
    fit = int(min((have / need for have, need in ((had_cpus, num_cpus), (had_gpus, num_gpus)) if need), default=1))
    may_grow = bool(os.environ.get("RAY_ADDRESS"))  # a cluster may start nodes for workers that wait; a Ray of our own will not
    if fit < 1 and (wanted is None or not may_grow):
        raise ConfigError(
            f"{'the cluster' if may_grow else 'this machine'} has {had_cpus} CPUs and {had_gpus:g} GPUs: no worker of"
            f" {num_cpus:g} CPUs and {num_gpus:g} GPUs fits; lower --num-cpus-per-worker or -gpus-"
        )
    return wanted or fit
