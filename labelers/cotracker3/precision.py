"""Which arithmetic the engine computes in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Without gradients; "float32" is float32 throughout (convolutions in TF32, the default of GPUs, are not), "bfloat16" autocasts."""
    with torch.inference_mode():
        if precision == "bfloat16":
            with torch.autocast(device.type, torch.bfloat16):
                yield
        else:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                yield
