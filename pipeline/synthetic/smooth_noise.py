"""Smooth random functions of places: hills, bumps on rocks, drifting exposure."""

import numpy as np


def bumps(rng: np.random.Generator, places: np.ndarray, *, count: int) -> np.ndarray:
    """A sum of `count` plane waves of wavelength about 2 pi at places "... D"; mean about 0, standard deviation about 1; "..."."""
    directions = rng.normal(size=(count, places.shape[-1]))
    directions *= rng.uniform(0.6, 1.8, (count, 1)) / np.linalg.norm(directions, axis=1, keepdims=True)
    phases = rng.uniform(0, 2 * np.pi, count)
    return np.asarray(np.sin(places @ directions.T + phases).sum(axis=-1) * np.sqrt(2 / count))


def drift(rng: np.random.Generator, times_s: np.ndarray, *, period_s: float) -> np.ndarray:
    """A smooth random course over times "T" that changes within about `period_s`; mean about 0, standard deviation about 1."""
    return bumps(rng, times_s[:, None] * (2 * np.pi / period_s), count=6)
