"""Cost of a training step: seconds by part, peak memory, operations."""

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from trainer.loop.flops import FlopTally

_MEGABYTE = 1024**2
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
_COUNTED = ("forward", "backward")
Mark = float | torch.Event  # a moment: of this process's clock, or of the device's work


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCost:
    """Cost of one step in this process."""

    parts_s: Mapping[str, float]  # by part
    peak_memory_mb: float | None  # of the device in this step; on the CPU, of the process so far; None where the device does not say
    tflops: float | None  # 1e12 operations of forward and backward pass; None if they were not asked for


class StepMeter:
    """Meter of one process's steps: `begin`, the parts within `timing`, `read`.

    A part may come several times, as with accumulated gradients. Seconds are the device's: `read` waits for it, nothing else does.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: list[tuple[str, Mark, Mark]] = []
        self._tallies: list[tuple[str, FlopTally]] = []  # by part
        self._known: dict[Hashable, float] = {}  # 1e12 operations by shape
        self._shape: Hashable | None = None

    def begin(self, shape: Hashable | None = None) -> None:
        """Begin a step.

        Args:
            shape: sizes that fix the number of operations, which are counted once for each, in a step that is somewhat slower for it;
                None: they are not asked for.
        """
        self._spans, self._tallies, self._shape = [], [], shape
        reset = self._memory_function("reset_peak_memory_stats")
        if reset is not None:
            reset(self._device)

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Time what the block asks for; operations are those of forward and backward."""
        began = self._now()
        if self._shape is not None and self._shape not in self._known and part in _COUNTED:
            tally = FlopTally(backward=part == "backward")
            self._tallies.append((part, tally))
            with tally:
                yield
        else:
            yield
        self._spans.append((part, began, self._now()))

    def read(self) -> StepCost:
        """Cost since `begin`."""
        if {part for part, _ in self._tallies} == set(_COUNTED):  # a step without a loss goes forward only
            self._known[self._shape] = sum(tally.total for _, tally in self._tallies) / 1e12
        tflops = None if self._shape is None else self._known.get(self._shape)
        return StepCost(parts_s=self._parts(), peak_memory_mb=self._peak_memory_mb(), tflops=tflops)

    def _now(self) -> Mark:
        if self._device.type == "cpu":
            return time.perf_counter()
        event = torch.Event(device=self._device, enable_timing=True)
        event.record()
        return event

    def _parts(self) -> dict[str, float]:
        parts: dict[str, float] = defaultdict(float)
        for part, began, ended in self._spans:
            parts[part] += _seconds_between(began, ended)
        return dict(parts)

    def _peak_memory_mb(self) -> float | None:
        if self._device.type == "cpu":
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES / _MEGABYTE
        peak = self._memory_function("max_memory_allocated")
        return None if peak is None else peak(self._device) / _MEGABYTE

    def _memory_function(self, name: str) -> Callable[[torch.device], Any] | None:
        return None if self._device.type == "cpu" else getattr(torch.get_device_module(self._device), name, None)


def _seconds_between(began: Mark, ended: Mark) -> float:
    """Waits for the later of two marks of a device's work."""
    if isinstance(began, torch.Event):
        assert isinstance(ended, torch.Event), "both marks of a span are of one kind"
        ended.synchronize()
        return float(began.elapsed_time(ended)) / 1e3
    assert isinstance(ended, float), "both marks of a span are of one kind"
    return ended - began
