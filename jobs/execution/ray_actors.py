"""Workers that are Ray actors: a fixed number, each set up once, with some tasks in hand beside the one that it works on."""

import time
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from jobs.execution.ray_tasks import failed
from jobs.execution.tasks import Died, Event, Failed, Finished, MakeRun, Task, TaskQueue
from jobs.execution.units import Limits, PoolConfig
from pipeline.errors import ConfigError, StorageError, TrackmillError


class _Actor:
    """One worker process."""

    def __init__(self, make: MakeRun) -> None:
        self._make = make

    def set_up(self) -> None:
        """To be called once, before any task. Here, not in the constructor, so that errors keep their type."""
        self._run = self._make()

    def work(self, work: Any) -> tuple[Any, Any]:
        """(what is kept, what is told): returned apart, so that the one goes from worker to writer, not through the driver."""
        return self._run(work)


@ray.remote(num_cpus=0)
def _commit(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


@dataclass(slots=True, eq=False)
class _Worker:
    """One actor and what it has been given, oldest first."""

    handle: Any
    ready: ray.ObjectRef
    up: bool = False  # it is set up; only then are tasks given. Until then the cluster may still be looking for room
    running: dict[ray.ObjectRef, tuple[Task, ray.ObjectRef]] = field(default_factory=dict)  # by the reference of what is told
    isolates: bool = False  # its task is an isolated one, and it must get nothing else
    news_at: float = 0.0  # when it last finished a task, or was given one while idle
    stopped_for: str = ""  # why the driver killed it

    def give(self, task: Task) -> None:
        if not self.running:
            self.news_at = time.monotonic()
        kept, told = self.handle.work.options(num_returns=2).remote(task.work)
        self.running[told] = (task, kept)
        self.isolates = task.kind == "isolated"

    def take(self, ref: ray.ObjectRef) -> tuple[Task, ray.ObjectRef]:
        self.news_at, self.isolates = time.monotonic(), False
        return self.running.pop(ref)

    def stop_if_late(self, limits: Limits) -> None:
        """Kill it when the oldest task is out for longer than its parts are allowed."""
        if not self.running or self.stopped_for:
            return
        oldest, _ = next(iter(self.running.values()))
        if time.monotonic() - self.news_at > limits.part_s * oldest.size:
            self.stopped_for = f"it took longer than {limits.part_s:g} s"
            ray.kill(self.handle)


class RayActors:
    """A pool of actors. In flight: workers x (1 + ahead) tasks."""

    def __init__(self, make: MakeRun, config: PoolConfig, limits: Limits, *, name: str) -> None:
        """Args:
        name: of a worker, for messages.
        """
        self._make, self._config, self._limits, self._name = make, config, limits, name
        self._workers = [self._start() for _ in range(config.num_workers)]
        self._commits: dict[ray.ObjectRef, Task] = {}

    def give(self, queue: TaskQueue) -> None:
        """Give every worker that is up as much as it may hold. While isolated tasks wait, the first worker gets nothing but those."""
        up = [worker for worker in self._workers if worker.up]  # the others may still wait for a node, perhaps for ever
        for place, worker in enumerate(up):
            if not worker.running and (task := queue.next_isolated()) is not None:
                worker.give(task)
            drains = worker.isolates or (place == 0 and queue.has_isolated)
            while not drains and len(worker.running) <= self._config.ahead and (task := queue.next_shared()) is not None:
                worker.give(task)

    def commit(self, task: Task) -> None:
        """Start a commit, where there is room: it takes no CPU to speak of."""
        function, *arguments = task.work
        self._commits[_commit.remote(function, *arguments)] = task

    @property
    def busy(self) -> bool:
        """Whether a task is out."""
        return bool(self._commits) or any(worker.running for worker in self._workers)

    def wait(self) -> list[Event]:
        """News of tasks and workers within half a second; a worker that takes too long is stopped.

        Raises: ConfigError, StorageError if a worker cannot be set up.
        """
        out = [*self._commits, *(ref for worker in self._workers for ref in worker.running)]
        starting = [worker.ready for worker in self._workers if not worker.up]
        done, _ = ray.wait([*out, *starting], num_returns=1, timeout=0.5)
        events = [event for ref in done if (event := self._receive(ref)) is not None]
        for worker in self._workers:
            worker.stop_if_late(self._limits)
        return events

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            ray.kill(worker.handle)

    def _start(self) -> _Worker:
        config = self._config
        actor = ray.remote(_Actor).options(
            num_cpus=config.num_cpus, num_gpus=config.num_gpus, max_concurrency=config.ahead + 1, max_restarts=0
        )
        handle: Any = actor.remote(self._make)
        return _Worker(handle=handle, ready=handle.set_up.remote())

    def _receive(self, ref: ray.ObjectRef) -> Event | None:
        if ref in self._commits:
            return _committed(self._commits.pop(ref), ref)
        worker = next((worker for worker in self._workers if ref == worker.ready or ref in worker.running), None)
        if worker is None:  # of a worker that was replaced
            return None
        try:
            told = ray.get(ref)
        except RayTaskError as error:
            if ref == worker.ready:
                raise self._not_set_up(error) from error
            task, _ = worker.take(ref)
            return failed(task, error)
        except RayError as error:
            if not worker.up:
                raise StorageError(f"a {self._name} could not be made on a worker, its process died: {error}") from error
            return self._replace(worker)
        if ref == worker.ready:
            worker.up = True
            return None
        task, kept = worker.take(ref)
        return Finished(task=task, told=told, kept=kept)

    def _replace(self, dead: _Worker) -> Died:
        ray.kill(dead.handle)
        self._workers[self._workers.index(dead)] = self._start()
        return Died(tasks=tuple(task for task, _ in dead.running.values()), reason=dead.stopped_for or "the process died")

    def _not_set_up(self, error: RayTaskError) -> TrackmillError:
        """Error that ends the job when a worker cannot be set up: the error of ours that it raised, or another's name and message."""
        if isinstance(error.cause, ConfigError):
            return ConfigError(str(error.cause))
        reason = str(error.cause) if isinstance(error.cause, TrackmillError) else f"{type(error.cause).__name__}: {error.cause}"
        return StorageError(f"a {self._name} could not be made on a worker: {reason}")


def _committed(task: Task, ref: ray.ObjectRef) -> Event:
    try:
        return Finished(task=task, told=ray.get(ref))
    except RayTaskError as error:
        return failed(task, error)
    except RayError as error:  # a node went away with what was to be committed
        return Failed(task=task, error=StorageError(f"its rows were lost ({type(error).__name__}); run the same command again"))
