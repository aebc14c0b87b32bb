"""Transport of clips from the loader's processes to the training: all tensors of one in a single piece of shared memory.

torch sends every tensor by a file handle of its own, requested from the process that made it: a dozen requests per clip, and as many
open handles for every clip that is read ahead.
"""

import io
import pickle
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

_ALIGNED = 16  # bytes: where tensors begin


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A pickled object and the memory of its tensors."""

    pickled: bytes  # with tensors by number
    tensors: tuple[tuple[int, torch.dtype, tuple[int, ...]], ...]  # of each: its first byte, kind and shape
    memory: Tensor  # uint8, all values

    def pin_memory(self) -> "Packed":
        """In memory that devices copy from by themselves. torch's DataLoader calls this in a thread of its own."""
        return replace(self, memory=self.memory.pin_memory())

    def to(self, device: torch.device) -> "Packed":
        """On a device, in one copy, which the caller does not wait for."""
        return replace(self, memory=self.memory.to(device, non_blocking=True))


def pack(item: object) -> Packed:
    """Take the tensors out of a picklable object."""
    file = io.BytesIO()
    packer = _Packer(file, protocol=pickle.HIGHEST_PROTOCOL)
    packer.dump(item)
    places, size = [], 0
    for tensor in packer.tensors:
        places.append((size, tensor.dtype, tuple(tensor.shape)))
        size += -(-tensor.nbytes // _ALIGNED) * _ALIGNED
    memory = torch.empty(size, dtype=torch.uint8)
    for (start, _, _), tensor in zip(places, packer.tensors, strict=True):
        memory[start : start + tensor.nbytes] = tensor.contiguous().flatten().view(torch.uint8)
    return Packed(pickled=file.getvalue(), tensors=tuple(places), memory=memory)


def unpack(packed: Packed) -> Any:
    """The object again; its tensors are views of the packed memory."""
    return _Unpacker(packed).load()


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.tensors: list[Tensor] = []

    def persistent_id(self, obj: object) -> int | None:
        if not isinstance(obj, Tensor):
            return None
        self.tensors.append(obj)
        return len(self.tensors) - 1


class _Unpacker(pickle.Unpickler):
    def __init__(self, packed: Packed) -> None:
        super().__init__(io.BytesIO(packed.pickled))
        self._packed = packed

    def persistent_load(self, pid: int) -> Tensor:
        start, kind, shape = self._packed.tensors[pid]
        count = torch.Size(shape).numel() * kind.itemsize
        return self._packed.memory[start : start + count].view(kind).view(shape)
