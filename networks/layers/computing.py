"""Computing modes: gradient checkpointing, parts in float32, arithmetic without gradients in a chosen precision."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
ForwardPrecision = Literal["float32", "bfloat16", "float16"]  # of a forward pass without gradients
FORWARD_PRECISIONS: tuple[ForwardPrecision, ...] = get_args(ForwardPrecision)


def checkpointed(step: Callable[..., Tensor], *inputs: Tensor | None, enabled: bool) -> Tensor:
    """step(*inputs); where `enabled` and gradients are asked for, its insides are computed again in the backward pass.

    The networks draw no random numbers, so no generator's state is kept for it.
    """
    if enabled and torch.is_grad_enabled():
        return cast(Tensor, checkpoint(step, *inputs, use_reentrant=False, preserve_rng_state=False))
    return step(*inputs)


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """A context without autocast on this device, whatever the caller has switched on: bfloat16 is too coarse for geometry."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)  # "meta" knows no autocast


@contextmanager
def forward_precision(device: torch.device, precision: ForwardPrecision) -> Iterator[None]:
    """A forward pass in float32 throughout, or under autocast to another precision."""
    if precision == "float32":
        yield
        return
    with torch.autocast(device.type, getattr(torch, precision)):
        yield


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Without gradients; "float32" is float32 throughout (convolutions in TF32, the default of GPUs, are not), "bfloat16" autocasts."""
    with torch.inference_mode():
        if precision == "bfloat16":
            with torch.autocast(device.type, torch.bfloat16):
                yield
        else:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                yield
