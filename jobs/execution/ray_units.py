"""Units as Ray tasks, with attempts counted by the driver: a part that kills its worker is found and left out."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from jobs.execution.ray_session import num_cpus
from jobs.execution.units import Limits, OnResult, Result, UnitReport, UnitWork
from pipeline.errors import TrackmillError

_UNIT_ATTEMPTS = 3  # of a unit that dies although each of its parts lives


@ray.remote(num_cpus=1, max_retries=0)
def _run(work: UnitWork[Any], unit: int, crashed: Mapping[str, str]) -> Any:
    return work.run(unit, crashed)


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
    deadline: float


class _Stage(Generic[Result]):
    """One stage while it runs."""

    def __init__(self, work: UnitWork[Result], limits: Limits, on_result: OnResult[Result]) -> None:
        self._limits, self._on_result = limits, on_result
        self._plain_work, self._work = work, ray.put(work)
        self._running: dict[ray.ObjectRef, _Running] = {}
        self._trials: Any = None  # the process of the trials, if there is one
        self.report: UnitReport[Result] = UnitReport()

    def run(self, units: Sequence[int]) -> None:
        waiting = deque(units)
        while waiting or self._running:
            while waiting and len(self._running) < num_cpus():
                self._start(waiting.popleft(), {}, attempt=1)
            done, _ = ray.wait(list(self._running), num_returns=1, timeout=1.0)
            for ref in done:
                self._finish(ref, self._running.pop(ref))
            self._stop_late_ones()

    def _start(self, unit: int, crashed: dict[str, str], attempt: int) -> None:
        deadline = time.monotonic() + self._limits.part_s * max(1, self._plain_work.size(unit))
        self._running[_run.remote(self._work, unit, crashed)] = _Running(unit, crashed, attempt, deadline)

    def _finish(self, ref: ray.ObjectRef, running: _Running) -> None:
        unit = running.unit
        try:
            result = ray.get(ref)
        except RayTaskError as error:
            if not isinstance(error.cause, TrackmillError):
                raise
            self.report.failures[unit] = str(error.cause)
        except RayError as error:
            guilty = self._find_guilty(unit, running.crashed)
            if not guilty and running.attempt == _UNIT_ATTEMPTS:
                self.report.failures[unit] = f"its worker died {running.attempt} times ({type(error).__name__}); give workers more memory"
            else:
                self._start(unit, {**running.crashed, **guilty}, attempt=1 if guilty else running.attempt + 1)
        else:
            self.report.results[unit] = result
            self._on_result(unit, result)

    def _stop_late_ones(self) -> None:
        for ref, running in self._running.items():
            if time.monotonic() > running.deadline:
                running.deadline = float("inf")
                ray.cancel(ref, force=True)

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
    """Run every unit as a task of one CPU, as many at a time as the cluster has CPUs."""
    stage: _Stage[Result] = _Stage(work, limits, on_result)
    stage.run(units)
    return stage.report
