"""Units that one task does and commits. After a death its parts are tried alone, and it runs again without the culprits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic

from jobs.execution.driver import drive
from jobs.execution.held import HeldUnits
from jobs.execution.tasks import Died, Failed, Finished, MakeRun, Task, Workers
from jobs.execution.units import Limits, OnResult, Result, UnitReport, UnitWork
from pipeline.border import border
from pipeline.errors import StorageError
from pipeline.shards.suspects import SuspectUnitError, on_trial

_UNIT_ATTEMPTS = 3  # of a unit that dies although each of its parts lives


@dataclass(frozen=True, slots=True)
class _Whole:
    """A unit, without the parts that are known to kill a process."""

    unit: int
    crashed: Mapping[str, str]
    may_be_held: bool  # it raises rather than commit if all its parts fail unexpectedly at one place

    def run(self, work: UnitWork[Any]) -> Any:
        with on_trial() if self.may_be_held else nullcontext():
            return work.run(self.unit, self.crashed)


@dataclass(frozen=True, slots=True)
class _Alone:
    """One part, done and forgotten."""

    unit: int
    part: str

    def run(self, work: UnitWork[Any]) -> None:
        work.trial(self.unit, self.part)


def make_run(work: UnitWork[Any]) -> MakeRun:
    """Set-up of a worker: it needs nothing but the stage's work."""
    return partial(_run_of, work)


def _run_of(work: UnitWork[Any]) -> Callable[[_Whole | _Alone], tuple[None, Any]]:
    return partial(_run, work)


def _run(work: UnitWork[Any], asked: _Whole | _Alone) -> tuple[None, Any]:
    with border(f"unit {asked.unit:06d}"):
        return None, asked.run(work)


def run_units(
    work: UnitWork[Result], units: Sequence[int], workers: Workers, *, limits: Limits, on_result: OnResult[Result]
) -> UnitReport[Result]:
    """Run every unit of a stage; `workers` are set up by `make_run(work)`.

    Raises: ConfigError; BrokenStageError if the first parts all failed unexpectedly at one place.
    """
    stage = _WholeUnits(work, on_result)
    drive(stage, workers, units, limits)
    return stage.report


@dataclass(slots=True)
class _Unit:
    """A unit that is not committed yet."""

    crashed: dict[str, str] = field(default_factory=dict)  # culprits, and what is to be said of them
    suspects: set[str] = field(default_factory=set)  # parts that are being tried alone
    attempts: int = 1  # since a culprit was found
    found: bool = False  # a culprit, since it last ran
    reason: str = ""  # of its last death


class _WholeUnits(Generic[Result]):
    def __init__(self, work: UnitWork[Result], on_result: OnResult[Result]) -> None:
        self._work, self._on_result = work, on_result
        self._units: dict[int, _Unit] = {}
        self._held: HeldUnits[int] = HeldUnits()
        self.report: UnitReport[Result] = UnitReport()

    def open(self, unit: int) -> Iterator[Task]:
        self._units[unit] = _Unit()
        yield self._whole(unit)

    def finished(self, done: Finished) -> Iterator[Task]:
        if done.task.part is not None:
            yield from self._tried(done.task)
            return
        unit = done.task.unit
        del self._units[unit]
        self._held.clear()
        self.report.results[unit] = done.told
        self._on_result(unit, done.told)

    def failed(self, lost: Failed) -> Iterator[Task]:
        if lost.task.part is not None:  # what raises does not kill
            yield from self._tried(lost.task)
        elif isinstance(lost.error, SuspectUnitError):
            self._held.hold(lost.task.unit, lost.error)
        else:
            self.lost(lost.task.unit, lost.error, lost.trace)

    def lost(self, unit: int, error: Exception, trace: str | None = None) -> None:
        self._units.pop(unit, None)
        self.report.fail(unit, error, trace)

    def isolate(self, task: Task, died: Died) -> Iterator[Task]:
        unit, state = task.unit, self._units[task.unit]
        state.reason = died.reason
        if task.part is not None:
            yield task
            return
        parts = list(self._work.parts(unit))
        parts = [part for part in parts[parts.index(died.at) if died.at in parts else 0 :] if part not in state.crashed]
        state.suspects = set(parts)
        for part in parts:
            yield Task(unit=unit, size=1, part=part, kind="isolated", work=_Alone(unit, part))
        if not parts:
            yield from self._again(unit)

    def quarantine(self, task: Task, reason: str) -> Iterator[Task]:
        state = self._units[task.unit]
        state.crashed[str(task.part)], state.found = f"{task.part}: {reason}; it is quarantined: drop it from the input", True
        yield from self._tried(task)

    def release(self) -> Iterator[Task]:
        yield from map(self._whole, self._held.release())

    def end(self) -> Iterator[Task]:
        yield from map(self._whole, self._held.end())

    def _tried(self, task: Task) -> Iterator[Task]:
        state = self._units[task.unit]
        state.suspects.discard(str(task.part))
        if not state.suspects:
            yield from self._again(task.unit)

    def _again(self, unit: int) -> Iterator[Task]:
        state = self._units[unit]
        state.attempts, state.found = 1 if state.found else state.attempts + 1, False
        if state.attempts > _UNIT_ATTEMPTS:
            self.lost(unit, StorageError(f"its worker died {_UNIT_ATTEMPTS} times ({state.reason}); give workers more memory"))
        else:
            yield self._whole(unit)

    def _whole(self, unit: int) -> Task:
        work = _Whole(unit, dict(self._units[unit].crashed), not self._held.works)
        return Task(unit=unit, size=max(1, self._work.size(unit)), work=work)
