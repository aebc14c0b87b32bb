"""What is tried when memory runs out, and in which order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from labelers.cotracker3.config import EngineConfig
from pipeline.errors import MemoryExhausted

Result = TypeVar("Result")
_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "bad allocation", "bad_alloc", "could not create a memory")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """One way of working. `note` is None on the first, which is as configured."""

    config: EngineConfig
    note: str | None = None


def rungs_alone(config: EngineConfig) -> tuple[Rung, ...]:
    """The rungs below a batch: a single clip, ever more frugal. Results are the same but for rounding."""
    apart = replace(config, directions_together=False)
    small = replace(apart, correlation_mb=min(4.0, config.correlation_mb), frames_at_once=1)
    alone = "one clip and one direction of time at a time"
    return (
        Rung(config=apart, note=f"out of memory: {alone}"),
        Rung(config=small, note=f"out of memory: {alone}, correlations in 4 MB, frames encoded one by one"),
    )


def descend(rungs: Sequence[Rung], work: Callable[[Rung], Result], *, what: str) -> Result:
    """The first result that memory allows. Raises MemoryExhausted, naming `what`, below the last rung."""
    reason = ""
    for rung in rungs:
        try:
            return work(rung)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        # here the failed attempt's tensors are free again, as its exception is gone
    raise MemoryExhausted(
        f"{what}: out of memory on the last rung of the ladder ({reason}); label it with fewer queries, shorter clips, a smaller model"
        " resolution, or by cotracker3-online"
    )


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)
