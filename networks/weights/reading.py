"""Weight files read from a local path, hub address or URL into tensors, with the hash of their bytes. No code in a file is run."""

import argparse
import hashlib
import io
import json
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.storage.sources import LocatedFile, locate_file

_WRAPPERS = ("state_dict", "model", "module")
_PREFIX = "module."
_START = 24  # bytes that tell the formats apart, and show what else a file is
_LENGTH = 8  # bytes of a safetensors header's length, little-endian, before the header
_LONGEST_HEADER = 100_000_000  # that format's own limit
_ZIP = b"PK\x03\x04"
_REFUSED = re.compile(r"GLOBAL ([\w.]+)")  # what torch's loader names when it will not run it
_SCRIPTED = "TorchScript"
# Options of a training, beside the weights of DUSt3R and MASt3R: a bag of values, never evaluated.
_PLAIN_RECORDS: list[Any] = [argparse.Namespace]
# What zipfile and torch raise for bytes that are not what they should be.
_MALFORMED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError),
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError),
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WeightFile:
    """Weights as a file holds them."""

    source: str  # as it was asked for
    path: str  # where it was read: an absolute path, or the URL
    sha256: str  # of its bytes
    tensors: Mapping[str, Tensor]  # by name, on the CPU; may be views of the file
    metadata: Mapping[str, str]  # of a safetensors file's header


def read_weights(source: str, *, sha256: str | None = None) -> WeightFile:
    """Read a safetensors file, or one of torch.save with tensors bare or under "state_dict", "model" or "module".

    A prefix "module." of all names is taken off. A local file is mapped, not copied; one elsewhere is read into memory.

    Args:
        source: a local path, `hf://org/repo[@revision]/file`, or a URL that fsspec can read.
        sha256: refuse any other file; None to take what is there. A hub file must have the hub's in any case.
    Raises: ConfigError if it is missing, damaged, another file than expected, or holds other things than finite floating tensors;
        StorageError if it cannot be read.
    """
    located = locate_file(source, sha256=sha256)
    digest, start = _digest(located)
    located.check(digest)
    metadata: Mapping[str, str] = {}
    if _is_safetensors(start):
        tensors, metadata = _load_safetensors(located)
    elif _is_torch_archive(start):
        tensors = _unwrap(_load_torch_archive(located), source)
    else:
        raise ConfigError(
            f"{source} is no file of weights: it has {storage.size(located.path)} bytes and begins {start!r}, expected safetensors or"
            f" the zip archive that torch.save writes (since torch 1.6); {located.remedy}"
        )
    _check_numbers(tensors, source)
    return WeightFile(source=source, path=located.path, sha256=digest, tensors=tensors, metadata=metadata)


def list_names(names: list[str], shown: int = 3) -> str:
    """The first few names, and the number of the others."""
    first = ", ".join(names[:shown])
    return first if len(names) <= shown else f"{first} and {len(names) - shown} more"


def _digest(located: LocatedFile) -> tuple[str, bytes]:
    with storage.open_input(located.path) as handle:
        start = handle.read(_START)
        handle.seek(0)
        hasher = hashlib.sha256()
        while block := handle.read(2**20):
            hasher.update(block)
    return hasher.hexdigest(), start


def _unwrap(content: object, source: str) -> Mapping[str, Tensor]:
    while isinstance(content, Mapping) and (inner := next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)):
        content = content[inner]
    if not isinstance(content, Mapping) or not content:
        what = "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise ConfigError(f"{source} holds {what}, expected tensors by name, bare or under one of {', '.join(_WRAPPERS)}")
    others = [str(name) for name, value in content.items() if not isinstance(name, str) or not isinstance(value, Tensor)]
    if others:
        raise ConfigError(
            f"{source}: {list_names(others)} are no tensors, expected tensors by name, bare or under one of {', '.join(_WRAPPERS)}"
        )
    prefix = _PREFIX if all(name.startswith(_PREFIX) for name in content) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in content.items()}


def _check_numbers(tensors: Mapping[str, Tensor], source: str) -> None:
    integers = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if integers:
        raise ConfigError(f"{source}: {list_names(integers)} are not floating; this is a quantised file or no checkpoint of ours")
    unusable = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if unusable:
        raise ConfigError(
            f"{source}: {list_names(unusable)} hold NaN or inf, so the training that wrote it had failed; take an earlier one"
        )


def _is_safetensors(start: bytes) -> bool:
    """Whether a file's first bytes are those of safetensors: a length, then a JSON object."""
    return start[_LENGTH : _LENGTH + 1] == b"{" and 2 <= int.from_bytes(start[:_LENGTH], "little") <= _LONGEST_HEADER


def _load_safetensors(located: LocatedFile) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
    """Tensors by name, and the file's metadata. Raises ConfigError if it is damaged."""
    try:
        if storage.is_local(located.path):
            tensors = safetensors.torch.load_file(located.path)
        else:
            tensors = safetensors.torch.load(storage.read_bytes(located.path))
    except safetensors.SafetensorError as error:
        size = storage.size(located.path)
        raise ConfigError(f"{located.source} is damaged or cut short: {size} bytes, {error}; {located.remedy}") from error
    if not tensors:
        raise ConfigError(f"{located.source} holds nothing, expected tensors by name")
    length = int.from_bytes(storage.read_range(located.path, 0, _LENGTH), "little")
    header = json.loads(storage.read_range(located.path, _LENGTH, length))
    return tensors, header.get("__metadata__", {})


def _is_torch_archive(start: bytes) -> bool:
    """Whether a file's first bytes are those of a zip archive, as torch.save writes."""
    return start.startswith(_ZIP)


def _load_torch_archive(located: LocatedFile) -> object:
    """The containers of tensors that were saved. Raises ConfigError if the file is damaged or would run code.

    Where no hash proves the bytes, every entry's checksum in the archive is compared, which torch does not do.
    """
    local = storage.is_local(located.path)
    try:
        data = b"" if local else storage.read_bytes(located.path)
        if not located.proven:
            _check_sums(located.path if local else io.BytesIO(data))
        with torch.serialization.safe_globals(_PLAIN_RECORDS):
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
