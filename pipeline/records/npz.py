"""Arrays of an .npz whose declared sizes are checked before anything is allocated: a damaged or hostile one is a DataError."""

import io
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from pipeline.errors import DataError
from pipeline.records.fields import Shape
from pipeline.records.npy_headers import read_npy_header

# What zipfile, its codecs and NumPy's header reader raise over damaged files.
BROKEN_NPZ = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    SyntaxError,
    OSError,
    EOFError,
    RuntimeError,  # encrypted, an unknown method, too deeply nested
    OverflowError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tokenize.TokenError,
)
_BEST_RATIO = 1100  # deflate makes at most 1032 bytes of one
_SLACK = 2**16
_MOST_TRACKS = 2**20


def read_npz(
    data: bytes, names: Iterable[str], *, shapes: Mapping[str, Shape], what: str, remedy: str | None = None
) -> dict[str, np.ndarray]:
    """Those of the named arrays that an .npz holds; no pickled object is read, and no array larger than its own bytes can fill.

    Args:
        data: bytes of the .npz file.
        shapes: what an array's shape must be, by name; an array without one may have any.
        what: the file, for errors.
        remedy: what to do about a damaged one; None where the caller says it.
    Raises: DataError if the file or an array does not read, is no array of numbers, or has another shape.
    """
    after = "" if remedy is None else f"; {remedy}"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [name for name in names if f"{name}.npy" in archive.namelist()]
            return {name: _array(archive, name, shapes.get(name), what) for name in found}
    except DataError as error:
        raise DataError(f"{error}{after}") from error
    except BROKEN_NPZ as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{what} does not read ({reason}){after}") from error


def npz_names(data: bytes) -> tuple[str, ...]:
    """Names of the arrays of a sound .npz file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist())


def _array(archive: zipfile.ZipFile, name: str, expected: Shape | None, what: str) -> np.ndarray:
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as handle:
        header = read_npy_header(handle)
        shape, dtype = header.shape, header.dtype
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise DataError(f"{what} does not read: {name} is of {str(dtype)[:40]}, expected numbers")
        _check_shape(name, shape, expected, what)
        num_bytes = math.prod(shape) * dtype.itemsize
        if num_bytes > info.file_size or num_bytes > _BEST_RATIO * info.compress_size + _SLACK:
            raise DataError(
                f"{name} in {what} declares {num_bytes} bytes ({list(shape)}), its {info.compress_size} stored bytes cannot hold them"
            )
        data = handle.read(num_bytes)
        if len(data) != num_bytes or handle.read(1):  # the last read also proves the checksum
            raise DataError(
                f"{name} in {what} declares {num_bytes} bytes ({list(shape)}), it holds {'fewer' if len(data) < num_bytes else 'more'}"
            )
    array = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    return array.reshape(shape[::-1]).T if header.fortran_order else array.reshape(shape)


def _check_shape(name: str, shape: tuple[int, ...], expected: Shape | None, what: str) -> None:
    if any(not isinstance(size, int) or size < 0 for size in shape):
        raise DataError(f"{name} in {what} declares the shape {shape}")
    if expected is None:
        return
    fits = len(shape) == len(expected) and all(want in (None, size) for size, want in zip(shape, expected, strict=True))
    if not fits or any(want is None and size > _MOST_TRACKS for size, want in zip(shape, expected, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in expected)
        raise DataError(f"{name} in {what} is {list(shape)}, expected [{wanted}]")
