"""A clean moving clip, to plant faults in."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

MakeClip = Callable[..., np.ndarray]


@pytest.fixture(scope="session", autouse=True)
def single_thread() -> None:
    cv2.setNumThreads(1)


@pytest.fixture
def moving_clip() -> MakeClip:
    """moving_clip(num_frames=24, step=(2, 1), seed=0, size=(96, 160)) -> uint8 "T H W 3": smooth colour noise under a panning camera."""

    def make(num_frames: int = 24, step: tuple[int, int] = (2, 1), seed: int = 0, size: tuple[int, int] = (96, 160)) -> np.ndarray:
        height, width = size
        across, down = step
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((height + abs(down) * num_frames, width + abs(across) * num_frames, 3))
        noise = cv2.GaussianBlur(noise, (0, 0), 4.0) + 0.3 * cv2.GaussianBlur(noise, (0, 0), 1.5)
        scene = np.clip(120 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)
        return np.stack([scene[t * down : t * down + height, t * across : t * across + width] for t in range(num_frames)])

    return make
