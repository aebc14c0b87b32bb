"""Device and precision of a model."""

from typing import cast

import torch

from networks.layers.computing import ForwardPrecision
from pipeline.errors import ConfigError

_BFLOAT16_SINCE = 8  # compute capability


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto": the first GPU, or the CPU where there is none. Raises ConfigError if it cannot be used."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either, by kind of device and build
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(f"--device {name} cannot be used: {reason}; take cpu, or run where there is a GPU") from error
    return device


def choose_precision(name: str, device: torch.device) -> ForwardPrecision:
    """The precision of that name; "auto": float32 on the CPU, bfloat16 on a GPU that has it, float16 on an older one."""
    if name != "auto":
        return cast(ForwardPrecision, name)  # checked with the other options
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= _BFLOAT16_SINCE else "float16"
