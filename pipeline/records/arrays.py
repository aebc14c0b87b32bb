"""Types of arrays, and checks of their shape and dtype, that records and functions on arrays share."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError

Floats: TypeAlias = npt.NDArray[np.floating[Any]]  # of any precision
Ints: TypeAlias = npt.NDArray[np.integer[Any]]
Bools: TypeAlias = npt.NDArray[np.bool_]


def check_array(name: str, array: np.ndarray, dtype: str, shape: tuple[int | None, ...]) -> None:
    """Raise DataError unless `array` has this dtype and shape (None in `shape` matches any length)."""
    same_rank = array.ndim == len(shape)
    if array.dtype != dtype or not same_rank or any(want is not None and got != want for got, want in zip(array.shape, shape, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise DataError(f"{name} is {array.dtype}{list(array.shape)}, expected {dtype}[{wanted}]")


def check_finite(name: str, array: np.ndarray) -> None:
    """Raise DataError if `array` holds NaN or infinity."""
    if not np.isfinite(array).all():
        raise DataError(f"{name} holds NaN or infinity")
