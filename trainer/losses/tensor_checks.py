"""What the losses' records check at birth."""

import torch
from torch import Tensor

from pipeline.errors import DataError


def check_floats(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raises: DataError unless the tensor is float32 or float64 of this shape."""
    if tensor.dtype not in (torch.float32, torch.float64) or tensor.shape != shape:
        found = f"{tensor.dtype}{list(tensor.shape)}".removeprefix("torch.")
        raise DataError(f"{name} is {found}, expected float32 or float64 {list(shape)}; losses are not taken in half precision")


def check_mask(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raises: DataError unless the tensor is bool of this shape."""
    if tensor.dtype != torch.bool or tensor.shape != shape:
        raise DataError(f"{name} is {tensor.dtype}{list(tensor.shape)}, expected torch.bool{list(shape)}")
