"""Choosing the executor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import typer

from jobs.console import ProgressLine, counted
from jobs.execution.inline import InlineWorkers
from jobs.execution.tasks import MakeRun, Workers
from jobs.execution.units import Limits, PoolConfig, Result, UnitReport, UnitWork
from jobs.execution.whole_units import make_run, run_units
from pipeline.errors import ConfigError, StorageError

EXECUTORS = ("ray", "inline")


@dataclass(frozen=True, kw_only=True, slots=True)
class Executor:
    """Executor of a job's units."""

    name: str  # ray | inline
    limits: Limits

    def __post_init__(self) -> None:
        if self.name not in EXECUTORS:
            raise ConfigError(f"--executor is {self.name!r}, expected ray or inline")

    @contextmanager
    def session(self) -> Iterator[None]:
        """Context in which units run: a Ray, or nothing."""
        if self.name == "inline":
            with nullcontext():
                yield
            return
        from jobs.execution.ray_session import ray_session

        with ray_session():
            yield

    def run(self, work: UnitWork[Result], units: Sequence[int], progress: ProgressLine, *, num_gpus: float = 0.0) -> UnitReport[Result]:
        """Run every unit of a stage.

        Args:
            num_gpus: that each unit is granted on Ray.
        Raises: StorageError, once the other units are done, if some could not be committed; BrokenStageError if the first parts all
            failed unexpectedly at one place; ConfigError.
        """
        report = run_units(
            work,
            units,
            self._tasks(make_run(work), num_gpus),
            limits=self.limits,
            on_result=lambda unit, _: progress.advance(work.size(unit)),
        )
        if report.traces:
            typer.echo(report.traces[min(report.traces)], err=True)
        if report.failures:
            unit, reason = sorted(report.failures.items())[0]
            raise StorageError(
                f"{len(report.failures)} of {counted(len(units), 'part')} of this stage not committed; the first, {unit:06d}: {reason}"
            )
        return report

    def pool(self, make: MakeRun, config: PoolConfig, *, name: str) -> Workers:
        """Workers that are set up once; one of them inline.

        Args:
            name: of a worker, for messages.
        Raises: ConfigError if a worker cannot be made as asked.
        """
        if self.name == "inline":
            return InlineWorkers(make(), ahead=config.ahead)
        from jobs.execution.ray_actors import RayActors

        return RayActors(make, config, self.limits, name=name)

    def _tasks(self, make: MakeRun, num_gpus: float) -> Workers:
        if self.name == "inline":
            return InlineWorkers(make())
        from jobs.execution.ray_tasks import RayTasks

        return RayTasks(make, self.limits, num_gpus=num_gpus)
