"""Choosing the executor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import typer

from jobs.console import ProgressLine
from jobs.execution.inline import run_inline
from jobs.execution.units import Limits, Result, UnitReport, UnitWork
from pipeline.errors import ConfigError, StorageError

EXECUTORS = ("ray", "inline")


@dataclass(frozen=True, kw_only=True, slots=True)
class Executor:
    """Where the units of a job run."""

    name: str  # ray | inline
    limits: Limits

    def __post_init__(self) -> None:
        if self.name not in EXECUTORS:
            raise ConfigError(f"--executor is {self.name!r}, expected ray or inline")

    @contextmanager
    def session(self) -> Iterator[None]:
        """What must be up while units run: a Ray, or nothing."""
        if self.name == "inline":
            with nullcontext():
                yield
            return
        from jobs.execution.ray_session import ray_session

        with ray_session():
            yield

    def run(self, work: UnitWork[Result], units: Sequence[int], progress: ProgressLine) -> UnitReport[Result]:
        """Run every unit of a stage.

        Raises: StorageError, once the other units are done, if some could not be committed; BrokenStageError if the first parts all
            failed unexpectedly at one place; ConfigError.
        """
        if self.name == "inline":
            report = run_inline(work, units, lambda unit, _: progress.advance(work.size(unit)))
        else:
            from jobs.execution.ray_units import run_on_ray

            report = run_on_ray(work, units, self.limits, lambda unit, _: progress.advance(work.size(unit)))
        if report.traces:
            typer.echo(report.traces[min(report.traces)], err=True)
        if report.failures:
            unit, reason = sorted(report.failures.items())[0]
            raise StorageError(
                f"{len(report.failures)} of {len(units)} parts of this stage were not committed; the first, {unit:06d}: {reason}"
            )
        return report
