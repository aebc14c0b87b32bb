"""Networks at their public size with noise for weights, and what a call of one takes: seconds and peak memory."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from networks import build_model

_NOISE = 1 << 20  # numbers that are drawn, and repeated
Result = TypeVar("Result")


def noise_network(name: str, where: torch.device, config: Mapping[str, Any] | None = None) -> torch.nn.Module:
    """A network of `build_model` with noise, which takes a tenth of the time of proper fresh weights."""
    with torch.device("meta"):
        model = build_model(name, config)
    model.to_empty(device=where)
    model.fill_constants()
    noise = torch.randn(_NOISE, generator=torch.Generator().manual_seed(0)).to(where)
    with torch.no_grad():
        for entry, weight in model.named_parameters():
            if weight.ndim < 2:
                weight.fill_(float(entry.endswith("weight")))
                continue
            scale = (weight.numel() / len(weight)) ** -0.5
            for part in weight.view(-1).split(_NOISE):
                torch.mul(noise[: len(part)], scale, out=part)
    return model.eval()


@contextmanager
def peak_memory(where: torch.device) -> Iterator[dict[str, float]]:
    """Fills in what lay in memory before, mostly weights, and the peak, MiB: of this process on a CPU, elsewhere of the device."""
    if where.type == "cpu":
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: making weights had one too
        found = {"weights_mib": round(_status_mib("VmRSS"), 1)}
        yield found
        found["peak_mib"] = round(_status_mib("VmHWM"), 1)
        return
    device = torch.get_device_module(where)
    device.reset_peak_memory_stats(where)
    found = {"weights_mib": round(device.memory_allocated(where) / 2**20, 1)}
    yield found
    found["peak_mib"] = round(device.max_memory_allocated(where) / 2**20, 1)


def seconds_of(call: Callable[[], Result], where: torch.device) -> tuple[float, Result]:
    """Of computing, all threads together, on a CPU; of the clock elsewhere. And what was computed."""
    if where.type == "cpu":
        began = time.process_time()
        result = call()
        return time.process_time() - began, result
    torch.accelerator.synchronize(where)
    began = time.perf_counter()
    result = call()
    torch.accelerator.synchronize(where)
    return time.perf_counter() - began, result


def warm_ups(where: torch.device) -> int:
    """Calls that do not count, before those that do: a GPU makes and chooses its kernels in the first."""
    return 0 if where.type == "cpu" else 1


def spread(values: list[float]) -> dict[str, float]:
    """Median and range, to four digits."""
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def _status_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
