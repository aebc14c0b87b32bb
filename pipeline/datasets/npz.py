"""Reading .npz files in parts: some rows of a large array, without the rest of it in memory."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from pipeline import storage
from pipeline.datasets.safe_pickle import load_checked, load_npy
from pipeline.errors import DataError
from pipeline.records.npy_headers import NpyHeader, read_npy_header

_PIECE = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class NpzFile:
    """An open .npz; see `open_npz`."""

    archive: zipfile.ZipFile
    where: str
    trust_pickle: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its arrays."""
        return tuple(name.removesuffix(".npy") for name in self.archive.namelist())

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array, from its header."""
        with self._member(name) as handle:
            return self._header(handle, name).shape

    def read(self, name: str) -> Any:
        """A whole array; arrays of objects are read by the restricted unpickler."""
        with self._member(name) as handle:
            return load_npy(handle.read(), self._named(name), trust_pickle=self.trust_pickle)

    def rows(self, name: str, first: int, count: int) -> np.ndarray:
        """Rows [first, first + count) of an array, of numbers and in C order (else all of it is read and cut).

        What lies before them is decompressed piece by piece and forgotten. Raises: DataError if the array has not as many rows.
        """
        with self._member(name) as handle:
            header = self._header(handle, name)
            if not header.shape or first + count > header.shape[0]:
                raise DataError(f"{self._named(name)}: shape {list(header.shape)}, expected at least {first + count} rows")
            if not header.dtype.hasobject and not header.fortran_order:
                return _rows(handle, header, first, count)
        return np.asarray(self.read(name)[first : first + count])

    def _header(self, handle: IO[bytes], name: str) -> NpyHeader:
        header: NpyHeader = load_checked(lambda: read_npy_header(handle), where=self._named(name))
        return header

    @contextmanager
    def _member(self, name: str) -> Iterator[IO[bytes]]:
        try:
            with self.archive.open(f"{name}.npy") as handle:
                yield handle
        except KeyError as error:
            raise DataError(f"{self.where}: no array {name!r}, found {', '.join(self.names)}; is it this dataset's file?") from error
        except (zipfile.BadZipFile, EOFError, RuntimeError, zlib.error, lzma.LZMAError) as error:
            raise DataError(f"{self._named(name)} is damaged ({error}); fetch it again") from error

    def _named(self, name: str) -> str:
        return f"{self.where}: {name}"


@contextmanager
def open_npz(uri: str, *, trust_pickle: bool = False) -> Iterator[NpzFile]:
    """Open an .npz file. Raises: DataError if there is none or it is damaged; StorageError if it cannot be read just now."""
    if not storage.exists(uri):
        raise DataError(f"{uri}: there is no such file, but the dataset's layout needs it; unpack or download it again")
    with storage.open_input(uri) as handle:
        try:
            archive = zipfile.ZipFile(handle)
        except zipfile.BadZipFile as error:
            raise DataError(f"{uri}: not a readable npz file ({error}); fetch it again") from error
        with archive:
            yield NpzFile(archive, uri, trust_pickle)


def _rows(handle: IO[bytes], header: NpyHeader, first: int, count: int) -> np.ndarray:
    row_bytes = header.dtype.itemsize * int(np.prod(header.shape[1:], dtype=np.int64))
    to_skip = first * row_bytes
    while to_skip > 0:
        to_skip -= len(handle.read(min(_PIECE, to_skip))) or to_skip
    data = handle.read(count * row_bytes)
    if len(data) != count * row_bytes:
        raise EOFError(f"{len(data)} bytes of {count * row_bytes}")
    return np.frombuffer(data, header.dtype).reshape(count, *header.shape[1:])
