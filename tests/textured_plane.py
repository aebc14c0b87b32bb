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
