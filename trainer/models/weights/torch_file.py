"""Files of torch.save, read without running what is in them."""

import io
import pickle
import re
import struct
import zipfile
import zlib

import torch

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.storage.sources import LocatedFile

_ZIP = b"PK\x03\x04"
_REFUSED = re.compile(r"GLOBAL ([\w.]+)")  # what torch's loader names when it will not run it
_SCRIPTED = "TorchScript"
# What zipfile and torch raise for bytes that are not what they should be.
_MALFORMED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError),
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError),
)


def is_torch_archive(start: bytes) -> bool:
    """Whether a file that begins so is one."""
    return start.startswith(_ZIP)


def load_torch_archive(located: LocatedFile) -> object:
    """The containers of tensors that were saved. Raises ConfigError if the file is damaged or would run code.

    Where no hash proves the bytes, every entry's checksum in the archive is compared, which torch does not do.
    """
    local = storage.is_local(located.path)
    try:
        data = b"" if local else storage.read_bytes(located.path)
        if not located.proven:
            _check_sums(located.path if local else io.BytesIO(data))
        return torch.load(located.path if local else io.BytesIO(data), map_location="cpu", weights_only=True, mmap=local)
    except _MALFORMED as error:
        refused = _REFUSED.search(str(error))
        if refused or _SCRIPTED in str(error):
            what = refused[1] if refused else "a TorchScript program"
            raise ConfigError(
                f"{located.source} holds more than weights: {what}. Loading it would run code from the file, which trackmill does not do."
                " If you trust its origin, load it with torch.load(..., weights_only=False), and save its state_dict alone"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        size = storage.size(located.path)
        raise ConfigError(f"{located.source} is damaged or cut short: {size} bytes, {reason}; {located.remedy}") from error


def _check_sums(archive: str | io.BytesIO) -> None:
    with zipfile.ZipFile(archive) as entries:
        if (broken := entries.testzip()) is not None:
            raise zipfile.BadZipFile(f"{broken} fails its checksum")
