"""Which frame of one recording belongs to which of another, by their times."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Association:
    """Pairs of frames, in the order of the predicted ones."""

    predicted_index: np.ndarray  # int64 "M"
    true_index: np.ndarray  # int64 "M"


def associate_by_time(predicted_times_s: np.ndarray, true_times_s: np.ndarray, *, max_difference_s: float = 0.01) -> Association:
    """For each predicted frame the true frame nearest in time, where the two are at most `max_difference_s` apart.

    Args:
        predicted_times_s: "P", seconds, any order.
        true_times_s: "Q", seconds, increasing. The earlier of two equally near frames is taken.
    Raises: DataError if a time is not finite or the true times do not increase.
    Source: the association of the TUM RGB-D tools, with 0.01 s as the field's trajectory evaluations have it.
    """
    predicted, true = np.asarray(predicted_times_s, np.float64), np.asarray(true_times_s, np.float64)
    if predicted.ndim != 1 or true.ndim != 1 or not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise DataError(f"times are {list(predicted.shape)} and {list(true.shape)}, expected two finite lists of seconds")
    if (np.diff(true) <= 0).any():
        raise DataError("the true times do not increase; sort the poses by time and drop repeated ones")
    if not len(true):
        return Association(predicted_index=np.zeros(0, np.int64), true_index=np.zeros(0, np.int64))
    after = np.clip(np.searchsorted(true, predicted), 0, len(true) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(true[before] - predicted) <= np.abs(true[after] - predicted), before, after)
    close = np.flatnonzero(np.abs(true[nearest] - predicted) <= max_difference_s)
    return Association(predicted_index=close.astype(np.int64), true_index=nearest[close].astype(np.int64))
