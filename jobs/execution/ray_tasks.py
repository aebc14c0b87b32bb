"""Workers that are Ray tasks: one task of ours in each, as many as the cluster has room for, and each part within its time."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError

from jobs.execution.ray_session import num_gpus as num_gpus_of_cluster
from jobs.execution.ray_session import num_in_flight
from jobs.execution.tasks import Died, Event, Failed, Finished, MakeRun, Run, Task, TaskQueue
from jobs.execution.units import Limits
from pipeline.border import PartAtWork, noting_parts
from pipeline.errors import ConfigError, TrackmillError

_BEAT_S = 0.5  # how often a worker looks whether it has come to another part


@dataclass(frozen=True, slots=True)
class _At:
    """The part that a worker has come to."""

    part: str | None


@dataclass(frozen=True, slots=True)
class _Told:
    """A task's result."""

    told: Any


@lru_cache(maxsize=1)
def _set_up(make: ray.ObjectRef) -> Run:
    """Set-up of this process for tasks of one stage: made once, and kept until another stage's comes."""
    return cast(MakeRun, ray.get(make))()


@ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")
def _work(make: list[ray.ObjectRef], work: Any) -> Iterator[_At | _Told]:
    """News of the task: first that it has found room (waiting for a node is not charged to a part), last its result."""
    yield _At(None)
    at_work, said = PartAtWork(), 0
    with ThreadPoolExecutor(max_workers=1) as thread:
        running = thread.submit(_listened, at_work, make[0], work)
        while not wait([running], timeout=_BEAT_S).done:
            if at_work.changes != said:
                said = at_work.changes
                yield _At(at_work.name)
        yield _Told(running.result())


def _listened(at_work: PartAtWork, make: ray.ObjectRef, work: Any) -> Any:
    with noting_parts(at_work):
        _, told = _set_up(make)(work)
        return told


@dataclass(slots=True)
class _Running:
    task: Task
    deadline: float | None = None  # None: it waits for room
    at: str | None = None
    stopped_for: str = ""


class RayTasks:
    """Workers of one CPU (and a GPU, or a part of one), as many at a time as the cluster has, and some that wait where it may grow."""

    def __init__(self, make: MakeRun, limits: Limits, *, num_gpus: float = 0.0) -> None:
        """Raises: ConfigError if no GPU is there, or will be."""
        self._make, self._limits, self._num_gpus = ray.put(make), limits, num_gpus
        if num_gpus and num_in_flight(num_gpus) < 1:
            raise ConfigError(f"this machine has {num_gpus_of_cluster():g} GPUs: no task of {num_gpus:g} fits; lower --num-gpus-per-worker")
        self._running: dict[Any, _Running] = {}  # by the generator of its words

    def give(self, queue: TaskQueue) -> None:
        """Start as many tasks as there is room for."""
        room = num_in_flight(self._num_gpus)
        while (task := queue.next_for([running.task for running in self._running.values()], room)) is not None:
            self._running[_work.options(num_gpus=self._num_gpus).remote([self._make], task.work)] = _Running(task)

    def commit(self, task: Task) -> None:
        """Tasks here commit what they do."""
        raise TypeError(f"unit {task.unit}: a commit apart from its task")

    @property
    def busy(self) -> bool:
        """Whether a task is out."""
        return bool(self._running)

    def wait(self) -> list[Event]:
        """News of the tasks within a second; tasks that take too long are stopped."""
        out = list(self._running)
        ray.wait(out, num_returns=1, timeout=1.0)
        done, _ = ray.wait(out, num_returns=len(out), timeout=0)  # all of them, before any is called late
        events = [event for words in done if (event := self._hear(words)) is not None]
        for words, running in self._running.items():
            if running.deadline is not None and time.monotonic() > running.deadline:
                running.deadline, running.stopped_for = None, f"it took longer than {self._limits.part_s:g} s"
                ray.cancel(words, force=True)
        return events

    def close(self) -> None:
        """Stop what still runs."""
        for words in self._running:
            ray.cancel(words, force=True)

    def _hear(self, words: Any) -> Event | None:
        running = self._running[words]
        try:
            word = ray.get(next(words))
        except RayTaskError as error:
            del self._running[words]
            return failed(running.task, error)
        except RayError as error:
            del self._running[words]
            return Died(tasks=(running.task,), reason=running.stopped_for or type(error).__name__, at=running.at)
        if isinstance(word, _Told):
            del self._running[words]
            return Finished(task=running.task, told=word.told)
        if not running.stopped_for:
            num_parts = running.task.size if word.part is None else 1  # to open and to commit a unit may take as long as all its parts
            running.at, running.deadline = word.part, time.monotonic() + self._limits.part_s * num_parts
        return None


def failed(task: Task, error: RayTaskError) -> Failed:
    """A task that raised: an error of ours as it was raised, another one with its traceback."""
    if isinstance(error.cause, TrackmillError):
        return Failed(task=task, error=error.cause)
    return Failed(task=task, error=error, trace=str(error))
