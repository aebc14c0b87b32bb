"""Headers of .npy files, which NumPy parses as Python, in whatever thread they are read.

Up to Python 3.11.8 and 3.12.2 the interpreter counts the depth of parsing for all threads together, and now and then tells one of them by
SystemError that another has moved it (gh-106905). The next try succeeds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TypeVar

import numpy as np

_TRIES = 8
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """Shape, order and dtype of an .npy file."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype


def read_npy_header(handle: IO[bytes]) -> NpyHeader:
    """Read the header; the handle, which can seek, stands at the data then.

    Raises: what NumPy does for a damaged one, ValueError, SyntaxError and others.
    """
    start = handle.tell()

    def read() -> NpyHeader:
        handle.seek(start)
        version = np.lib.format.read_magic(handle)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return NpyHeader(*reader(handle))

    return retry_parsing(read)


def retry_parsing(read: Callable[[], _Read]) -> _Read:
    """What a function gives that parses headers from the start each time it is called."""
    for _ in range(_TRIES - 1):
        try:
            return read()
        except SystemError:
            continue
    return read()
