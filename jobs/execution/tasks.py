"""Tasks: what workers are given, the queue that they wait in, and what the driver is told of them."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Run = Callable[[Any], tuple[Any, Any]]  # a task's `work` -> (what stays where it was made, what the driver is told)
MakeRun = Callable[[], Run]  # what a worker is set up by, once per process; it pickles


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Some parts of one unit, done together by one process; or the commit of a unit, which is no worker's."""

    unit: int
    size: int  # parts
    work: Any  # what the worker's `Run` is called with; of a commit, (function, arguments)
    kind: Literal["shared", "isolated", "commit"] = "shared"  # isolated: one part, with nothing else in its process
    part: str | None = None  # its name, where it is one part


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A task that is done."""

    task: Task
    told: Any
    kept: Any = None  # what it made: itself, or a reference to where it lies


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A task that raised."""

    task: Task
    error: Exception
    trace: str | None = None  # where the error does not bring its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Died:
    """A worker process that is gone, with the tasks that were in it."""

    tasks: tuple[Task, ...]
    reason: str
    at: str | None = None  # the part that it was last known to be at


Event = Finished | Failed | Died


class TaskQueue:
    """Tasks that wait: isolated ones apart, follow-ups before those that are opened now."""

    def __init__(self, fresh: Iterator[Task]) -> None:
        self._fresh, self._again, self._isolated = fresh, deque[Task](), deque[Task]()

    def add(self, tasks: Iterable[Task]) -> None:
        """Queue tasks that follow from others."""
        for task in tasks:
            (self._isolated if task.kind == "isolated" else self._again).append(task)

    def next_isolated(self) -> Task | None:
        """The next isolated one, None if there is none."""
        return self._isolated.popleft() if self._isolated else None

    def next_shared(self) -> Task | None:
        """The next one that may share a process, None if there is none."""
        return self._again.popleft() if self._again else next(self._fresh, None)

    def next_for(self, running: Collection[Task], room: int) -> Task | None:
        """The next one where each task has a process of its own, and there is room for so many; None if there is none.

        Isolated ones take up to half of the room while others wait, so that neither stops the other.
        """
        if len(running) >= room:
            return None
        few = sum(task.kind == "isolated" for task in running) < room // 2
        return (self.next_isolated() if few else None) or self.next_shared() or self.next_isolated()

    @property
    def has_isolated(self) -> bool:
        """Whether isolated ones wait."""
        return bool(self._isolated)

    @property
    def empty(self) -> bool:
        """Whether nothing waits; the next unit is opened to know it."""
        if not self._isolated and not self._again:
            self.add(task for task in (next(self._fresh, None),) if task is not None)
        return not self._isolated and not self._again


class Workers(Protocol):
    """Processes that do tasks: this one, or some on Ray."""

    def give(self, queue: TaskQueue) -> None:
        """Start as many tasks as there is room for."""
        ...

    def commit(self, task: Task) -> None:
        """Start a commit."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a task is out."""
        ...

    def wait(self) -> list[Event]:
        """News of the tasks in flight; nothing after a while without any."""
        ...

    def close(self) -> None:
        """Stop what still runs."""
        ...
