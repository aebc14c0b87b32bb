"""Pickles, and NumPy files with pickles in them, that the readers of other people load. They are written here, never read.

Protocol 3, no memo: pieces of such pickles can be joined by their bytes. NumPy 2 writes the name of a module that NumPy before 1.26
does not have; the older name is known to both, so that is the one written.
"""

import io
import pickle
import pickletools
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from pipeline import storage
from pipeline.errors import DataError

_PROTOCOL = 3
_NEW_MODULE, _OLD_MODULE = "numpy._core.multiarray", "numpy.core.multiarray"
_START, _END = b"\x80\x03", b"."  # opcodes PROTO 3 and STOP, around every pickle of this protocol
_EMPTY_DICT, _SET_ITEM = b"}", b"s"
_COMPRESSION = 1  # video and depth hardly shrink further, and take several times as long to try


def plain_pickle(value: Any) -> bytes:
    """Bytes of one object: containers, text, bytes, numbers and NumPy arrays.

    Equal objects give equal bytes (arrays, if their memory is in one order). An object that holds itself cannot be written: ValueError
    or RecursionError.
    """
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=_PROTOCOL)
    pickler.fast = True
    pickler.dump(value)
    return _with_old_names(buffer.getvalue())


def _with_old_names(data: bytes) -> bytes:
    parts: list[bytes] = []
    copied = 0
    for opcode, argument, position in pickletools.genops(data):
        if opcode.name == "GLOBAL" and str(argument).startswith(f"{_NEW_MODULE} ") and position is not None:
            name = str(argument).partition(" ")[2]
            parts += [data[copied:position], f"c{_OLD_MODULE}\n{name}\n".encode()]
            copied = position + len(f"c{_NEW_MODULE}\n{name}\n")
    return b"".join([*parts, data[copied:]])


def object_npy(value: Any) -> bytes:
    """An .npy file of objects.

    Args:
        value: an array of dtype object; anything else is stored alone, as `np.save` stores a dictionary, and comes back with
            `np.load(file, allow_pickle=True).item()`.
    """
    array = value
    if not isinstance(value, np.ndarray):
        array = np.empty((), object)
        array[()] = value
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": array.shape})
    buffer.write(plain_pickle(array))
    return buffer.getvalue()


def bytes_array(files: Sequence[bytes]) -> np.ndarray:
    """Bytes of several files as an array of objects "T"; NumPy by itself would cut zeros off their ends."""
    array = np.empty(len(files), object)
    array[:] = list(files)
    return array


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An .npz file, compressed; arrays of objects are pickled. Equal arrays give equal bytes: its dates are fixed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # of 1 January 1980
            archive.writestr(member, _npy(array), zipfile.ZIP_DEFLATED, _COMPRESSION)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    if array.dtype.hasobject:
        return object_npy(array)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def dict_pickle(entries: Mapping[str, Any]) -> bytes:
    """The pickle of a dictionary, in the form that `join_dict_pickles` joins."""
    items = [_body(key) + _body(value) + _SET_ITEM for key, value in entries.items()]
    return b"".join([_START, _EMPTY_DICT, *items, _END])


def join_dict_pickles(uris: Sequence[str], out: IO[bytes]) -> None:
    """Write the pickle of all entries of several dictionaries, each a file of `dict_pickle`; none is loaded into memory.

    Raises: DataError for a file of another form; StorageError.
    """
    head = _START + _EMPTY_DICT
    out.write(head)
    for uri in uris:
        with storage.open_input(uri) as handle:
            if handle.read(len(head)) != head:
                raise DataError(f"{uri}: no pickle of this job; delete it and run the job again")
            shutil.copyfileobj(handle, out)
        out.seek(-len(_END), io.SEEK_CUR)
    out.truncate()
    out.write(_END)


def _body(value: Any) -> bytes:
    return plain_pickle(value)[len(_START) : -len(_END)]
