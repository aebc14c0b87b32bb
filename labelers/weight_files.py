"""Weight files: from a name (local path, hub address or URL) to tensors, with proof of which bytes they are."""

import hashlib
import io
import pickle
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO, cast

import torch

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.storage.sources import LocatedFile, locate_file

_ZIP = b"PK\x03\x04"
_REFUSED = re.compile(r"GLOBAL ([\w.]+)")  # what torch's loader names when it will not run it
_SCRIPTED = "TorchScript"
# What zipfile and torch raise for bytes that are not what they should be.
_MALFORMED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError),
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError),
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WeightFile:
    """A file written by torch.save, read."""

    source: str  # as it was asked for
    path: str  # where it was read: an absolute path, or the URL
    sha256: str  # of its bytes
    content: object  # tensors on the CPU, within whatever containers it was saved with


def read_weight_file(source: str, *, sha256: str | None = None) -> WeightFile:
    """Read a file of weights; no code in it is run.

    The file is read once into memory, so hash and tensors are of the same bytes; for a moment that takes twice the file's size.
    Where no hash proves the bytes, every entry's checksum in the archive is compared, which torch does not do.

    Args:
        source: a local path, `hf://org/repo[@revision]/file`, or a URL that fsspec can read.
        sha256: the file must have this one (64 hex digits); None to take it as it is. A hub file must have the hub's in any case.
    Raises: ConfigError if it is missing, is another file than expected, is damaged, or holds more than weights; StorageError if it
        cannot be read.
    """
    located = locate_file(source, sha256=sha256)
    data = _read(located)
    digest = hashlib.sha256(data).hexdigest()
    located.check(digest)
    content = _load(data, source, proven=located.proven, remedy=located.remedy)
    return WeightFile(source=source, path=located.path, sha256=digest, content=content)


def _read(located: LocatedFile) -> bytes:
    with storage.open_input(located.path) as handle:
        start = handle.read(24)
        if not start.startswith(_ZIP):
            raise ConfigError(
                f"{located.source} is no file of weights: it has {storage.size(located.path)} bytes and begins {start!r}, expected the"
                f" zip archive that torch.save writes (since torch 1.6); {located.remedy}"
            )
        handle.seek(0)
        return handle.read()


def _load(data: bytes, source: str, *, proven: bool, remedy: str) -> object:
    try:
        broken = None if proven else zipfile.ZipFile(io.BytesIO(data)).testzip()
        if broken is not None:
            raise zipfile.BadZipFile(f"{broken} fails its checksum")
        return torch.load(cast(BinaryIO, io.BytesIO(data)), map_location="cpu", weights_only=True)
    except _MALFORMED as error:
        refused = _REFUSED.search(str(error))
        if refused or _SCRIPTED in str(error):
            what = refused[1] if refused else "a TorchScript program"
            raise ConfigError(
                f"{source} holds more than weights: {what}. Loading it would run code from the file, which trackmill does not do."
                " If you trust its origin, load it with torch.load(..., weights_only=False), and save its state_dict alone"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{source} is damaged or cut short: {len(data)} bytes, {reason}; {remedy}") from error
