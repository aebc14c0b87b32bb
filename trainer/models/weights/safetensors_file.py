"""Files that hold tensors, a header, and nothing that could be run."""

import json
from collections.abc import Mapping

import safetensors
import safetensors.torch
from torch import Tensor

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.storage.sources import LocatedFile

_LENGTH = 8  # bytes of the header's length, little-endian, before the header
_LONGEST_HEADER = 100_000_000  # the format's own limit


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins so is one: a length, then a JSON object."""
    return start[_LENGTH : _LENGTH + 1] == b"{" and 2 <= int.from_bytes(start[:_LENGTH], "little") <= _LONGEST_HEADER


def load_safetensors(located: LocatedFile) -> tuple[Mapping[str, Tensor], Mapping[str, str]]:
    """Tensors by name, and the file's own remarks. Raises ConfigError if it is damaged."""
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
