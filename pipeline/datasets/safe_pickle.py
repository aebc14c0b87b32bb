"""Reading pickled dataset files without running code of theirs: NumPy arrays, plain containers and numbers, and nothing else."""

import io
import pickle
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
from numpy._core.multiarray import _reconstruct, scalar
from numpy._core.numeric import _frombuffer  # type: ignore[attr-defined]  # how pickles of protocol 5 make arrays; not in the stubs

from pipeline.errors import DataError
from pipeline.records.npy_headers import NpyHeader, read_npy_header, retry_parsing


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """Bytes that old pickles wrote as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}, expected latin1")
    return text.encode("latin1")


# (module, name) -> what stands for it. None of these can be made to run code or to reach a file.
PLAIN_GLOBALS: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _latin1_bytes,
    **{(home, kind.__name__): kind for home in ("builtins", "__builtin__") for kind in (bytearray, complex, frozenset, set, slice)},
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    ImportError,
    zlib.error,
    BadZipFile,
)


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that knows PLAIN_GLOBALS and the names that it is given; any other name is refused, unless the file is trusted."""

    def __init__(self, handle: IO[bytes], where: str, *, known: dict[tuple[str, str], Any], trust_pickle: bool) -> None:
        super().__init__(handle)
        self._where, self._known, self._trusted = where, known, trust_pickle

    def find_class(self, module: str, name: str) -> Any:
        """The object behind a pickle's global. Raises DataError for an unknown one of a file that is not trusted."""
        found = self._known.get((module, name))
        if found is not None:
            return found
        if not self._trusted:
            raise DataError(
                f"{self._where}: its pickle asks for {module}.{name}, which is no plain array or container and could run code; it is not"
                " read. If you trust where the file came from, --trust-pickle reads it all the same"
            )
        return super().find_class(module, name)


def load_pickle(handle: IO[bytes], where: str, *, trust_pickle: bool = False) -> Any:
    """The object of one pickle.

    Args:
        where: the file, for errors.
        trust_pickle: also follow names that may run code. Never the default.
    Raises: DataError if the pickle is damaged, or asks for more than plain arrays and containers.
    """
    return load_checked(lambda: RestrictedUnpickler(handle, where, known=PLAIN_GLOBALS, trust_pickle=trust_pickle).load(), where=where)


def load_checked(load: Callable[[], Any], *, where: str) -> Any:
    """Call `load`; what a damaged pickle makes it raise becomes a DataError that names the file."""
    try:
        return load()
    except _BROKEN as error:
        raise DataError(f"{where}: its pickle does not read ({type(error).__name__}: {error}); fetch it again") from error


def load_npy(data: bytes, where: str, *, trust_pickle: bool = False) -> Any:
    """An .npy file: its array, or where it holds objects, those, read by `load_pickle`.

    `np.save` of a dictionary is an array of no dimension with one object: that object is returned.
    Raises: DataError.
    """
    handle = io.BytesIO(data)
    header: NpyHeader = load_checked(lambda: read_npy_header(handle), where=where)
    if header.dtype.hasobject:
        array = load_pickle(handle, where, trust_pickle=trust_pickle)
        return array.item() if isinstance(array, np.ndarray) and array.ndim == 0 else array
    return load_checked(lambda: retry_parsing(lambda: np.load(io.BytesIO(data), allow_pickle=False)), where=where)
