"""Clips whose true motion is known in closed form."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pipeline.records import ClipFrames, FramesInMemory
from tests.textured_plane import moving_frames

MakeClip = Callable[..., ClipFrames]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture
def moving_plane() -> MakeClip:
    """make(queries, velocity=(vx, vy), num_frames=, size=(H, W), key=) -> ClipFrames."""

    def make(queries, *, velocity=(0.0, 0.0), num_frames=7, size=(96, 128), key="plane") -> ClipFrames:
        reader = FramesInMemory(moving_frames(velocity, num_frames=num_frames, size=size))
        return ClipFrames(key=key, reader=reader, queries=np.array(queries, np.float32).reshape(-1, 3))

    return make


@pytest.fixture
def passing_bar() -> MakeClip:
    """A standing plane that a bright striped bar, 24 px wide, crosses from left to right at 6 px per frame."""

    def make(queries, *, num_frames=18, size=(96, 128)) -> ClipFrames:
        frames = moving_frames((0, 0), num_frames=num_frames, size=size)
        stripes = np.where((np.arange(size[0]) // 5 % 2)[:, None, None], 250, 160).astype(np.uint8)
        for t in range(num_frames):
            left = 6 * t - 12
            frames[t, :, max(0, left) : max(0, left + 24)] = stripes
        return ClipFrames(key="bar", reader=FramesInMemory(frames), queries=np.array(queries, np.float32).reshape(-1, 3))

    return make
