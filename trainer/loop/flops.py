"""Floating-point operations of a model's passes, counted as they are asked for, and the peaks that common GPUs could reach."""

import sys
from contextlib import ExitStack
from typing import Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from networks.layers.computing import Precision

_aten = torch.ops.aten
_SAME_FORMULA = {  # torch has none for attention on the CPU
    _aten._scaled_dot_product_flash_attention_for_cpu: _aten._scaled_dot_product_flash_attention,
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: _aten._scaled_dot_product_flash_attention_backward,
}

# Peak of dense matrix products in bfloat16 with float32 sums, 1e12 per second, by a part of the device's name; the first that fits
# counts. From NVIDIA's data sheets of each card, whose figures for sparse matrices are halved.
_BFLOAT16_TFLOPS = (
    ("B200", 2250.0),
    ("H200 NVL", 835.5),
    ("H200", 989.5),
    ("GH200", 989.5),
    ("H100 NVL", 835.5),
    ("H100 PCIe", 756.5),
    ("H100", 989.5),
    ("A100", 312.0),
    ("L40S", 362.0),
    ("A40", 149.7),
    ("L4", 121.0),
    ("A10", 125.0),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
)


class FlopTally(TorchDispatchMode):
    """Adds up matrix products, convolutions and attention while it is entered, two operations for a product with its sum.

    What activation checkpointing computes again in the backward pass is left out: it is no work of the model's. It is told by gradients
    being recorded, which the backward pass itself does not do. What is compiled runs uncompiled meanwhile: its operations are not to be
    seen one by one.
    """

    def __init__(self, *, backward: bool) -> None:
        """Args:
        backward: it is entered for a backward pass.
        """
        super().__init__()
        self.total = 0
        self._backward = backward
        self._uncompiled = ExitStack()

    def __enter__(self) -> Self:
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and it takes seconds to load
            self._uncompiled.enter_context(torch.compiler.set_stance("force_eager"))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._uncompiled.close()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch would load its compiler, seconds of CPU, only to keep it from compiling `__torch_dispatch__`."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        operation = getattr(func, "_overloadpacket", func)
        formula = flop_registry.get(_SAME_FORMULA.get(operation, operation))
        if formula is not None and not (self._backward and torch.is_grad_enabled()):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def peak_tflops(device: torch.device, precision: Precision) -> float | None:
    """Operations per second that a device reaches at best, 1e12; None where that is not known, as for float32 and the CPU."""
    if device.type in ("cpu", "mps", "meta") or precision != "bfloat16":
        return None
    return peak_of_card(torch.get_device_module(device).get_device_name(device))


def peak_of_card(name: str) -> float | None:
    """As `peak_tflops`, by the name that the driver gives, such as "NVIDIA H100 80GB HBM3", in bfloat16."""
    words = f"{name} ".replace("-", " ")
    return next((peak for part, peak in _BFLOAT16_TFLOPS if f"{part} " in words), None)
