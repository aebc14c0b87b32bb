"""Devices by the names that torch has for them."""

import torch

from pipeline.errors import ConfigError


def torch_device(name: str) -> torch.device:
    """A torch device, checked to be usable. Raises ConfigError."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}; use cpu, or run where there is a GPU") from error
    return device
