"""Checkpoints written by a thread beside the training: the learner is copied to the host's memory, and the next step begins."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from trainer.loop.checkpoints import Learner, RunState, copy_learner, write_checkpoint

_log = logging.getLogger(__name__)


class CheckpointWriter:
    """Writes a run's checkpoints, one at a time and in order. Leaving its block waits for the last one.

    In memory there is at most one copy of weights, average and moments besides the learner's own.
    """

    def __init__(self, out: str, *, keep: int) -> None:
        """Args as for `write_checkpoint`."""
        self._out, self._keep = out, keep
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown(wait=True)
        if error is None:
            self.finish()
        elif self._writing is not None and (failure := self._writing.exception()) is not None:
            _log.error("the last checkpoint was not written: %s", failure)

    def save(self, state: RunState, learner: Learner) -> None:
        """Copy the learner and let it be written, once the checkpoint before is. Raises StorageError if that one failed."""
        self.finish()
        self._writing = self._thread.submit(write_checkpoint, self._out, state, copy_learner(learner, state), keep=self._keep)

    def check(self) -> None:
        """Raises: StorageError, naming the file, if the writing has failed. Does not wait."""
        if self._writing is not None and self._writing.done():
            self.finish()

    def finish(self) -> None:
        """Wait until nothing is being written. Raises StorageError, naming the file, if it failed."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
