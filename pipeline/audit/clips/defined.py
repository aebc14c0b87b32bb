"""Statistics over values of which some are unknown (NaN): unknown ones do not count, and nothing known gives NaN, silently."""

from collections.abc import Sequence

import numpy as np


def known_median(values: Sequence[float] | np.ndarray) -> float:
    """Median of the known values."""
    known = _known(values)
    return float(np.median(known)) if len(known) else float("nan")


def known_mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of the known values."""
    known = _known(values)
    return float(known.mean()) if len(known) else float("nan")


def known_min(values: Sequence[float] | np.ndarray) -> float:
    """Smallest of the known values."""
    known = _known(values)
    return float(known.min()) if len(known) else float("nan")


def known_max(values: Sequence[float] | np.ndarray) -> float:
    """Largest of the known values."""
    known = _known(values)
    return float(known.max()) if len(known) else float("nan")


def _known(values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64).ravel()
    return array[np.isfinite(array)]
