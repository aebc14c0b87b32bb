"""The loop that drives a stage to its end, inline and on Ray: one rule for crashes, for lost units, for parts that are quarantined."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol

from jobs.execution.tasks import Died, Event, Failed, Finished, Task, TaskQueue, Workers
from jobs.execution.units import Limits
from pipeline.border import border
from pipeline.errors import ConfigError, TrackmillError

Tasks = Iterable[Task]


class Stage(Protocol):
    """One stage of a job while it runs, as its driver sees it. What the methods return are the tasks that follow."""

    def open(self, unit: int) -> Tasks:
        """The first tasks of a unit. What it raises costs the unit."""
        ...

    def finished(self, done: Finished) -> Tasks:
        """A task is done."""
        ...

    def failed(self, lost: Failed) -> Tasks:
        """A task raised. Raises: BrokenStageError if the stage works nowhere."""
        ...

    def lost(self, unit: int, error: Exception, trace: str | None = None) -> None:
        """Nothing of a unit will be committed."""
        ...

    def isolate(self, task: Task, died: Died) -> Tasks:
        """The parts of a task that was in a process that died, each to be tried alone. What it raises costs the unit."""
        ...

    def quarantine(self, task: Task, reason: str) -> Tasks:
        """The one part of an isolated task is given up."""
        ...

    def release(self) -> Tasks:
        """Units that were held back and may be committed now."""
        ...

    def end(self) -> Tasks:
        """All units that are still held back: nothing else is left. Raises: BrokenStageError if the stage worked nowhere."""
        ...


def drive(stage: Stage, workers: Workers, units: Sequence[int], limits: Limits) -> None:
    """Run every unit of a stage until it is committed or lost.

    A part that was in a process that died is charged with it, and tried in a process of its own while the others go on. One that dies
    alone, and has been charged as often as the limits allow, is quarantined.
    Raises: ConfigError; BrokenStageError if the first parts all failed unexpectedly at one place.
    """
    _Drive(stage, workers, limits).run(units)


class _Drive:
    def __init__(self, stage: Stage, workers: Workers, limits: Limits) -> None:
        self._stage, self._workers, self._limits = stage, workers, limits
        self._deaths: Counter[tuple[int, str]] = Counter()  # by unit and part
        self._queue = TaskQueue(iter(()))

    def run(self, units: Sequence[int]) -> None:
        self._queue = TaskQueue(chain.from_iterable(map(self._open, units)))
        try:
            while self._step():
                for event in self._workers.wait():
                    self._follow(self._handle(event))
        finally:
            self._workers.close()

    def _step(self) -> bool:
        """Give out what there is room for; False at the stage's end."""
        self._follow(self._stage.release())
        self._workers.give(self._queue)
        if not self._workers.busy and self._queue.empty:
            self._follow(self._stage.end())
            self._workers.give(self._queue)
            return self._workers.busy or not self._queue.empty
        return True

    def _follow(self, tasks: Tasks) -> None:
        for task in tasks:
            if task.kind == "commit":
                self._workers.commit(task)
            else:
                self._queue.add([task])

    def _open(self, unit: int) -> Iterator[Task]:
        opened = iter(self._stage.open(unit))
        while found := self._or_lost(unit, lambda: islice(opened, 1)):
            if found[0].kind == "commit":  # of a unit without parts
                self._workers.commit(found[0])
            else:
                yield found[0]

    def _or_lost(self, unit: int, work: Callable[[], Tasks]) -> list[Task]:
        """The stage's result; an error costs the unit."""
        try:
            with border(f"unit {unit:06d}"):
                return list(work())
        except ConfigError:
            raise
        except TrackmillError as error:
            self._stage.lost(unit, error)
            return []

    def _handle(self, event: Event) -> Tasks:
        if isinstance(event, Finished):
            return self._stage.finished(event)
        if isinstance(event, Failed):
            if isinstance(event.error, ConfigError):
                raise event.error
            return self._stage.failed(event)
        return self._charge(event)

    def _charge(self, died: Died) -> Iterator[Task]:
        """Charge what was in flight. A part that was alone is known to be the culprit."""
        alone = len(died.tasks) == 1 and died.tasks[0].part is not None
        for task in died.tasks:
            for suspect in self._or_lost(task.unit, lambda task=task: self._stage.isolate(task, died)):  # type: ignore[misc]
                if suspect.part is None:  # it has no part that could be the culprit
                    yield suspect
                    continue
                self._deaths[suspect.unit, suspect.part] += 1
                deaths = self._deaths[suspect.unit, suspect.part]
                if alone and deaths >= self._limits.attempts:
                    yield from self._stage.quarantine(suspect, f"its worker was lost {deaths} times ({died.reason})")
                else:
                    yield suspect
