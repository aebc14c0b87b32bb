"""Workers that are this process: for tests, debugging and tiny inputs."""

import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jobs.execution.tasks import Event, Failed, Finished, Run, Task, TaskQueue
from pipeline.errors import TrackmillError


class InlineWorkers:
    """One worker, in this process. A part that kills the process kills the job: there is no other one to notice it.

    Alone it works in the thread of its caller. With `ahead` it works in threads, on that many tasks beside the oldest one, for a worker
    that prepares one task while another is done.
    """

    def __init__(self, run: Run, *, ahead: int = 0) -> None:
        self._run = run
        self._room = ahead + 1
        self._threads = ThreadPoolExecutor(max_workers=self._room) if ahead else None
        self._out: deque[tuple[Task, Future[tuple[Any, Any]] | None]] = deque()
        self._commits: deque[Task] = deque()

    def give(self, queue: TaskQueue) -> None:
        """Take tasks in their order."""
        while len(self._out) < self._room and (task := queue.next_shared()) is not None:
            self._out.append((task, self._threads.submit(self._run, task.work) if self._threads else None))

    def commit(self, task: Task) -> None:
        """Queue a commit; it comes before the next task's result."""
        self._commits.append(task)

    @property
    def busy(self) -> bool:
        """Whether a task is out."""
        return bool(self._out or self._commits)

    def wait(self) -> list[Event]:
        """Do the next commit or task."""
        if self._commits:
            return [self._done(self._commits.popleft(), None)]
        return [self._done(*self._out.popleft())] if self._out else []

    def close(self) -> None:
        """Wait for the threads, if any, unless the job was stopped; what they have not begun is left."""
        if self._threads is not None:
            stopped = isinstance(sys.exc_info()[1], KeyboardInterrupt)
            self._threads.shutdown(wait=not stopped, cancel_futures=True)

    def _done(self, task: Task, running: Future[tuple[Any, Any]] | None) -> Event:
        try:
            if task.kind == "commit":
                function, *arguments = task.work
                kept, told = None, function(*arguments)
            else:
                kept, told = self._run(task.work) if running is None else running.result()
        except TrackmillError as error:
            return Failed(task=task, error=error)
        return Finished(task=task, told=told, kept=kept)
