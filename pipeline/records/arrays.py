"""Shape and dtype checks shared by the records."""

import numpy as np

from pipeline.errors import DataError


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
