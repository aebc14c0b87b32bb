"""Frames of a long clip, decoded while the labeler works on those before."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pipeline.records import FrameReader


@dataclass(slots=True, eq=False)
class ReadAhead:
    """A FrameReader that stays some frames ahead of whoever reads it, in a thread of its own for each pass."""

    reader: FrameReader
    num_ahead: int = 8  # frames; what is held in memory beside the labeler's own
    waited_s: float = 0.0  # that whoever reads stood still because no frame was there yet, over all passes

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return self.reader.shape

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield T frames "H W 3". Raises what the reader raises, at the frame where it does."""
        frames = iter(self.reader)
        pool = ThreadPoolExecutor(max_workers=1)  # one: frames come in order
        try:
            ahead: deque[Future[np.ndarray | None]] = deque(pool.submit(next, frames, None) for _ in range(self.num_ahead))
            while (frame := self._wait_for(ahead.popleft())) is not None:
                ahead.append(pool.submit(next, frames, None))
                yield frame
        finally:
            pool.shutdown(cancel_futures=True)

    def _wait_for(self, coming: Future[np.ndarray | None]) -> np.ndarray | None:
        since = time.perf_counter()
        try:
            return coming.result()
        finally:
            self.waited_s += time.perf_counter() - since
