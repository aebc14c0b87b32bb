"""Statistics over the part of an array that counts; NaN where too little of it does."""

import numpy as np


def max_where(values: np.ndarray, where: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Largest value over axis 0 among those that count, float64; NaN where fewer than `at_least` do."""
    return _known(np.max(np.where(where, values, -np.inf), axis=0, initial=-np.inf), where, at_least)


def min_where(values: np.ndarray, where: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Smallest value over axis 0 among those that count, float64; NaN where fewer than `at_least` do."""
    return _known(np.min(np.where(where, values, np.inf), axis=0, initial=np.inf), where, at_least)


def mean_where(values: np.ndarray, where: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Mean over axis 0 of the values that count, float64; NaN where fewer than `at_least` do."""
    total = np.sum(np.where(where, values, 0.0), axis=0, dtype=np.float64)
    return _known(total / np.maximum(where.sum(axis=0), 1), where, at_least)


def median_where(values: np.ndarray, where: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Median over axis 0 of the values that count, float64; NaN where fewer than `at_least` do."""
    if len(values) == 0:
        return np.full(np.shape(values)[1:], np.nan)
    ordered = np.sort(np.where(where, values, np.inf), axis=0)
    count = np.maximum(where.sum(axis=0), 1)
    low, high = (np.take_along_axis(ordered, middle[None], axis=0)[0] for middle in ((count - 1) // 2, count // 2))
    known = where.sum(axis=0) >= max(at_least, 1)
    return np.where(known, (np.where(known, low, 0.0) + np.where(known, high, 0.0)) / 2, np.nan)


def _known(values: np.ndarray, where: np.ndarray, at_least: int) -> np.ndarray:
    return np.where(where.sum(axis=0) >= max(at_least, 1), values, np.nan).astype(np.float64)
