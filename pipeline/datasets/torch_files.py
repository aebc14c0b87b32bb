"""Reading .pth files of tensors as NumPy arrays: the zip that torch writes, its pickle read by the restricted unpickler."""

import io
import zipfile
from functools import partial
from typing import IO, Any

import numpy as np

from pipeline.datasets.safe_pickle import PLAIN_GLOBALS, RestrictedUnpickler, load_checked
from pipeline.errors import DataError

_DTYPES = {
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ShortStorage": "int16",
}


def load_pth(data: bytes, where: str, *, trust_pickle: bool = False) -> Any:
    """The object of a .pth file with NumPy arrays for its tensors.

    Read are numbers, strings, plain containers, tensors (on whatever device they were) and NumPy arrays. The format is that of torch
    1.6 and later (a zip).

    Args:
        where: the file, for errors.
        trust_pickle: also follow names that may run code. Never the default.
    Raises: DataError if it is damaged, of the older format, or asks for anything else.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{where}: not a zip, as torch 1.6 and later write it ({error}); damaged, or of an older torch: save it again"
        ) from error
    with archive:
        pickled = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickled) != 1:
            raise DataError(f"{where}: {len(pickled)} pickles in the zip, expected one data.pkl; is it a file of torch.save?")
        reader = partial(_read, archive, pickled[0], where, trust_pickle)
        return load_checked(reader, where=where)


def _read(archive: zipfile.ZipFile, pickled: str, where: str, trust_pickle: bool) -> Any:
    with archive.open(pickled) as handle:
        return _TorchUnpickler(handle, where, archive=archive, folder=pickled.removesuffix("data.pkl"), trust_pickle=trust_pickle).load()


class _TorchUnpickler(RestrictedUnpickler):
    """Knows tensors, and finds their storages in the zip."""

    def __init__(self, handle: IO[bytes], where: str, *, archive: zipfile.ZipFile, folder: str, trust_pickle: bool) -> None:
        storages = {("torch", name): np.dtype(dtype).newbyteorder("<") for name, dtype in _DTYPES.items()}
        known = {**PLAIN_GLOBALS, **storages, ("torch._utils", "_rebuild_tensor_v2"): _tensor}
        super().__init__(handle, where, known=known, trust_pickle=trust_pickle)
        self._archive, self._folder = archive, folder

    def persistent_load(self, pid: Any) -> np.ndarray:
        """A storage: ("storage", its type, its name in the zip, the device it was on, its length)."""
        kind, dtype, key, _, length = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise ValueError(f"{kind!r} of {dtype!r}, expected the storage of a tensor")
        storage = np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), dtype)
        if len(storage) < length:
            raise ValueError(f"storage {key} holds {len(storage)} numbers, expected {length}")
        return storage


def _tensor(storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> np.ndarray:
    """A tensor's numbers as an array of their own; what lies outside its storage is refused."""
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= len(storage)):
        raise ValueError(f"a tensor of size {size} and stride {stride} at {offset} does not fit its storage of {len(storage)}")
    if 0 in size:
        return np.zeros(size, storage.dtype)
    strides = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides).copy()
