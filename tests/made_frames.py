"""Frames that are made when they are asked for, and what it costs to go through them."""

import tracemalloc
import weakref
from collections.abc import Callable, Iterator

import numpy as np


class MadeFrames:
    """A reader that makes each frame when it is asked for, and knows how many of them live."""

    def __init__(self, num_frames: int, height: int, width: int, *, given: int | None = None) -> None:
        self.shape = (num_frames, height, width)
        self.most_alive, self.read = 0, 0
        self._scene = np.random.default_rng(0).integers(0, 255, (height, width + 64, 3), np.uint8)
        self._given = num_frames if given is None else given

    def __iter__(self) -> Iterator[np.ndarray]:
        made: list[weakref.ref[np.ndarray]] = []
        for frame in range(self._given):
            picture = self._scene[:, frame % 64 :][:, : self.shape[2]].copy()
            made = [*(each for each in made if each() is not None), weakref.ref(picture)]
            self.most_alive, self.read = max(self.most_alive, len(made)), self.read + 1
            yield picture


def peak_bytes(work: Callable[..., object], *arguments: object) -> int:
    """The most that Python and numpy held at a time while `work` ran; what libraries hold for themselves is not seen."""
    tracemalloc.start()
    try:
        work(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
