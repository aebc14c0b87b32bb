"""Seamless random patterns on a square of S x S texels, and smooth random functions of place and time."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CellPattern:
    """A seamless plane split among random or given centres."""

    index: np.ndarray  # int64 "S S": the nearest centre
    border: np.ndarray  # float32 "S S": distance to the border between cells, as a share of the square's side, roughly


def spectral_noise(
    rng: np.random.Generator, size: int, *, slope: float = 1.8, stretch: tuple[float, float] = (1, 1), coarsest: float = 1
) -> np.ndarray:
    """Noise whose amplitude falls with frequency to the power `slope`; float32 "S S", mean 0, standard deviation 1.

    Args:
        stretch: how much longer the grain is along (x, y).
        coarsest: frequencies below this many waves per side are left out.
    """
    frequency_y, frequency_x = np.fft.fftfreq(size, 1 / size)[:, None] * stretch[1], np.fft.rfftfreq(size, 1 / size)[None] * stretch[0]
    frequency = np.hypot(frequency_x, frequency_y)
    amplitude = np.where(frequency >= coarsest, np.maximum(frequency, 1e-6) ** -slope, 0)
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * amplitude, s=(size, size))
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def cells(rng: np.random.Generator, size: int, *, per_side: int, disorder: float = 0.8) -> CellPattern:
    """About per_side^2 cells around centres moved off a staggered grid by up to `disorder` / 2 of a step."""
    row, column = np.mgrid[:per_side, :per_side]
    centres = np.stack([column + 0.5 * (row % 2), row], axis=-1).reshape(-1, 2).astype(np.float64)
    centres = ((centres + disorder * rng.uniform(-0.5, 0.5, centres.shape)) / per_side) % 1
    x, y = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)
    distance, nearest = cKDTree(centres, boxsize=1).query(np.stack([x, y], axis=-1), k=2)
    return CellPattern(index=nearest[..., 0], border=(distance[..., 1] - distance[..., 0]).astype(np.float32) / 2)


def bumps(rng: np.random.Generator, places: np.ndarray, *, count: int) -> np.ndarray:
    """A sum of `count` plane waves of wavelength about 2 pi at places "... D"; mean about 0, standard deviation about 1; "..."."""
    directions = rng.normal(size=(count, places.shape[-1]))
    directions *= rng.uniform(0.6, 1.8, (count, 1)) / np.linalg.norm(directions, axis=1, keepdims=True)
    phases = rng.uniform(0, 2 * np.pi, count)
    return np.asarray(np.sin(places @ directions.T + phases).sum(axis=-1) * np.sqrt(2 / count))


def drift(rng: np.random.Generator, times_s: np.ndarray, *, period_s: float) -> np.ndarray:
    """A smooth random course over times "T" that changes within about `period_s`; mean about 0, standard deviation about 1."""
    return bumps(rng, times_s[:, None] * (2 * np.pi / period_s), count=6)
