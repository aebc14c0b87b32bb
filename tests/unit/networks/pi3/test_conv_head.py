"""The convolutional head, a few frames at a time: the same maps and gradients, in less memory."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from networks.layers.initialisation import fill_weights
from networks.pi3.config import ConvHeadConfig
from networks.pi3.heads import ConvHead

FRAMES, GRID = 12, (3, 4)
SIZES = ConvHeadConfig(dim_proj=16, dim_upsample=(16, 8), num_res_blocks=1, last_conv_channels=8)


class PeakMemory(TorchDispatchMode):
    """Most bytes that tensors made within the block held at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live: dict[int, int] = {}

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            storage = tensor.untyped_storage() if isinstance(tensor, Tensor) else None
            if storage is not None and storage._cdata not in self._live:
                self._live[storage._cdata] = storage.nbytes()
                weakref.finalize(storage, self._live.pop, storage._cdata)
        self.peak = max(self.peak, sum(self._live.values()))
        return made


def train(frames_at_once: int, *, again: bool = True) -> tuple[list[Tensor], list[Tensor], int]:
    """Maps, gradients to tokens and weights, and the most memory, of one forward and backward pass."""
    head = ConvHead(SIZES, patch_size=8, gradient_checkpointing=again, frames_at_once=frames_at_once)
    fill_weights(head, torch.Generator().manual_seed(0))
    tokens = torch.randn(FRAMES, 12, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with PeakMemory() as memory:
        maps = head(tokens, GRID)
        sum(one.square().sum() for one in maps).backward()
    return maps, [value.grad for value in (tokens, *head.parameters())], memory.peak


@pytest.mark.parametrize("frames_at_once", [1, 5])
def test_a_few_frames_at_a_time_give_the_same_maps_and_gradients(frames_at_once: int) -> None:
    maps, gradients, _ = train(frames_at_once)
    whole, expected, _ = train(FRAMES, again=False)
    assert [one.shape for one in maps] == [(FRAMES, 2, 24, 32), (FRAMES, 1, 24, 32)]
    torch.testing.assert_close(maps, whole, rtol=1e-5, atol=1e-6)
    for found, true in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-5 * float(true.abs().max()))


def test_memory_is_that_of_a_few_frames() -> None:
    recomputed, in_parts = train(FRAMES)[2], train(1)[2]
    assert in_parts < recomputed / 4
