"""A picture without pixels: what moves over it can be sampled exactly, by any motion."""

import numpy as np


def plane(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A texture that can be evaluated anywhere: waves of 9 to 40 pixels in many directions, grey levels about 30 to 220."""
    rng = np.random.default_rng(7)
    value = np.zeros(np.broadcast(x, y).shape)
    for _ in range(14):
        angle, wavelength, phase = rng.uniform(0, np.pi), rng.uniform(9, 40), rng.uniform(0, 2 * np.pi)
        value += np.sin(2 * np.pi / wavelength * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return 125 + 28 * value


def moving_frames(velocity: tuple[float, float], *, num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """The plane translated by `velocity` (x, y) px per frame, sampled at pixel centres: uint8 "T H W 3"."""
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    grey = np.stack([plane(x - velocity[0] * t, y - velocity[1] * t) for t in range(num_frames)])
    return np.repeat(np.clip(np.round(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=3)
