"""Units as Ray tasks, with attempts counted by the driver: a part that kills its worker is found and left out."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Generic

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from jobs.execution.ray_session import num_in_flight
from jobs.execution.suspects import Suspects
from jobs.execution.units import Limits, OnResult, Result, UnitReport, UnitWork
from pipeline.border import border
from pipeline.errors import ConfigError, TrackmillError
from pipeline.shards.suspects import SuspectUnitError, on_trial

_UNIT_ATTEMPTS = 3  # of a unit that dies although each of its parts lives


@ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")
def _run(work: UnitWork[Any], unit: int, crashed: Mapping[str, str], trial: bool) -> Iterator[Any]:
    """First a word that the task has found room, then its result: waiting for a node is not to be held against a unit."""
    yield None
    with on_trial() if trial else nullcontext(), border(f"unit {unit:06d}"):
        result = work.run(unit, crashed)
    yield result


class _Trials:
    """A process of its own for parts that are suspected; it outlives those that are innocent."""

    def __init__(self, work: UnitWork[Any]) -> None:
        self._work = work

    def up(self) -> None:
        """Say that the process runs: waiting for room and starting are not to be held against a part."""

    def trial(self, unit: int, part: str) -> None:
        self._work.trial(unit, part)


@dataclass(slots=True)
class _Running:
    unit: int
    crashed: dict[str, str]
    attempt: int
    deadline: float | None = None  # None: it waits for room


class _Stage(Generic[Result]):
    """One stage while it runs."""

    def __init__(self, work: UnitWork[Result], limits: Limits, on_result: OnResult[Result]) -> None:
        self._limits, self._on_result = limits, on_result
        self._plain_work, self._work = work, ray.put(work)
        self._running: dict[Any, _Running] = {}  # by the generator of its words
        self._suspects: Suspects[int] = Suspects()
        self._trials: Any = None  # the process of the trials, if there is one
        self.report: UnitReport[Result] = UnitReport()

    def run(self, units: Sequence[int]) -> None:
        waiting = deque(units)
        while True:
            waiting.extendleft(self._suspects.release())
            while waiting and len(self._running) < num_in_flight():
                self._start(waiting.popleft(), {}, attempt=1)
            if not self._running:
                waiting.extend(self._suspects.end())
                if not waiting:
                    break
                continue
            done, _ = ray.wait(list(self._running), num_returns=1, timeout=1.0)
            for words in done:
                self._hear(words)
            self._stop_late_ones()

    def _start(self, unit: int, crashed: dict[str, str], attempt: int) -> None:
        words = _run.remote(self._work, unit, crashed, not self._suspects.works)
        self._running[words] = _Running(unit, crashed, attempt)

    def _hear(self, words: Any) -> None:
        running = self._running[words]
        try:
            word = ray.get(next(words))
        except RayError as error:
            del self._running[words]
            self._failed(running, error)
            return
        if running.deadline is None:
            running.deadline = time.monotonic() + self._limits.part_s * max(1, self._plain_work.size(running.unit))
            return
        del self._running[words]
        self._suspects.clear()
        self.report.results[running.unit] = word
        self._on_result(running.unit, word)

    def _failed(self, running: _Running, error: Exception) -> None:
        unit, cause = running.unit, error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, SuspectUnitError):
            self._suspects.hold(unit, cause)
        elif isinstance(cause, ConfigError):
            raise cause
        elif isinstance(cause, TrackmillError):
            self.report.fail(unit, cause)
        elif isinstance(error, RayTaskError):  # what did not even reach the border of the task, such as a class that does not unpickle
            self.report.fail(unit, error, trace=str(error))
        else:
            self._died(running, error)

    def _died(self, running: _Running, error: Exception) -> None:
        unit, guilty = running.unit, self._find_guilty(running.unit, running.crashed)
        if not guilty and running.attempt == _UNIT_ATTEMPTS:
            self.report.failures[unit] = f"its worker died {running.attempt} times ({type(error).__name__}); give workers more memory"
        else:
            self._start(unit, {**running.crashed, **guilty}, attempt=1 if guilty else running.attempt + 1)

    def _stop_late_ones(self) -> None:
        for words, running in self._running.items():
            if running.deadline is not None and time.monotonic() > running.deadline:
                running.deadline = float("inf")
                ray.cancel(words, force=True)

    def _find_guilty(self, unit: int, known: Mapping[str, str]) -> dict[str, str]:
        """Parts that kill a worker also when they are alone in it, as often as the limits allow."""
        guilty = {}
        for part in self._plain_work.parts(unit):
            deaths = [] if part in known else self._deaths(unit, part)
            if deaths:
                guilty[part] = f"{part}: killed its worker {len(deaths)} times ({deaths[-1]}); it is quarantined: drop it from the input"
        self._end_trials()
        return guilty

    def _deaths(self, unit: int, part: str) -> list[str]:
        deaths: list[str] = []
        while len(deaths) < self._limits.attempts:
            if self._trials is None:
                self._trials = ray.remote(_Trials).options(num_cpus=1, max_restarts=0).remote(self._work)
            try:
                ray.get(self._trials.up.remote())
                ray.get(self._trials.trial.remote(unit, part), timeout=self._limits.part_s)
            except RayTaskError:
                return []
            except GetTimeoutError:
                deaths.append(f"took longer than {self._limits.part_s:g} s")
            except RayError as error:
                deaths.append(type(error).__name__)
            else:
                return []
            self._end_trials()
        return deaths

    def _end_trials(self) -> None:
        if self._trials is not None:
            ray.kill(self._trials)
        self._trials = None


def run_on_ray(work: UnitWork[Result], units: Sequence[int], limits: Limits, on_result: OnResult[Result]) -> UnitReport[Result]:
    """Run every unit as a task of one CPU, as many at a time as the cluster has CPUs, and some that wait where it may grow.

    Raises: ConfigError; BrokenStageError if the first parts all failed unexpectedly at one place.
    """
    stage: _Stage[Result] = _Stage(work, limits, on_result)
    stage.run(units)
    return stage.report
