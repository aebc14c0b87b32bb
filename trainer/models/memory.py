"""Memory against time, precision against both: gradient checkpointing and the parts that stay in float32."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(step: Callable[..., Tensor], *inputs: Tensor | None, enabled: bool) -> Tensor:
    """step(*inputs); where `enabled` and gradients are asked for, its insides are computed again in the backward pass.

    The networks draw no random numbers, so no generator's state is kept for it.
    """
    if enabled and torch.is_grad_enabled():
        return cast(Tensor, checkpoint(step, *inputs, use_reentrant=False, preserve_rng_state=False))
    return step(*inputs)


def full_precision(device: torch.device) -> torch.autocast:
    """A context without autocast on this device, whatever the caller has switched on: geometry does not bear bfloat16."""
    return torch.autocast(device.type, enabled=False)
