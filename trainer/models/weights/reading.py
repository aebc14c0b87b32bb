"""From a name (local path, hub address or URL) to tensors, with proof of which bytes they are. No code in a file is run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.storage.sources import LocatedFile, locate_file
from trainer.models.weights.safetensors_file import is_safetensors, load_safetensors
from trainer.models.weights.torch_file import is_torch_archive, load_torch_archive

_WRAPPERS = ("state_dict", "model", "module")
_PREFIX = "module."
_START = 16  # bytes that tell the formats apart


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WeightFile:
    """Weights as a file holds them."""

    source: str  # as it was asked for
    path: str  # where it was read: an absolute path, or the URL
    sha256: str  # of its bytes
    tensors: Mapping[str, Tensor]  # by name, on the CPU; may be views of the file
    metadata: Mapping[str, str]  # what a safetensors file says of itself


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
    if is_safetensors(start):
        tensors, metadata = load_safetensors(located)
    elif is_torch_archive(start):
        tensors = _unwrapped(load_torch_archive(located), source)
    else:
        raise ConfigError(
            f"{source} is no file of weights: it has {storage.size(located.path)} bytes and begins {start!r}, expected safetensors or"
            f" the zip archive that torch.save writes (since torch 1.6); {located.remedy}"
        )
    _check_numbers(tensors, source)
    return WeightFile(source=source, path=located.path, sha256=digest, tensors=tensors, metadata=metadata)


def some(names: list[str], shown: int = 3) -> str:
    """The first few names, and how many more there are."""
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


def _unwrapped(content: object, source: str) -> Mapping[str, Tensor]:
    while isinstance(content, Mapping) and (inner := next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)):
        content = content[inner]
    if not isinstance(content, Mapping) or not content:
        what = "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise ConfigError(f"{source} holds {what}, expected tensors by name, bare or under one of {', '.join(_WRAPPERS)}")
    others = [str(name) for name, value in content.items() if not isinstance(name, str) or not isinstance(value, Tensor)]
    if others:
        raise ConfigError(f"{source}: {some(others)} are no tensors, expected tensors by name, bare or under one of {', '.join(_WRAPPERS)}")
    prefix = _PREFIX if all(name.startswith(_PREFIX) for name in content) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in content.items()}


def _check_numbers(tensors: Mapping[str, Tensor], source: str) -> None:
    integers = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if integers:
        raise ConfigError(f"{source}: {some(integers)} are not floating; this is a quantised file or no checkpoint of ours")
    unusable = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if unusable:
        raise ConfigError(f"{source}: {some(unusable)} hold NaN or inf, so the training that wrote it had failed; take an earlier one")
