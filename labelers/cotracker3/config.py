"""Computing options of the CoTracker3 engine, and the ladder of frugal options for when memory runs out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from labelers.options import check_choice, check_count, check_number
from networks.cotracker3.refinement import ITERATIONS
from networks.layers.computing import PRECISIONS, Precision
from pipeline.errors import MemoryExhausted

Result = TypeVar("Result")
_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "bad allocation", "bad_alloc", "could not create a memory")


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineConfig:
    """Only `iterations`, `support_grid` and `precision` change what the engine finds; the others, by no more than rounding."""

    iterations: int = ITERATIONS
    support_grid: int = 6  # points per side of a grid on frame 0 that is tracked along for context; 0: none
    precision: Precision = "float32"  # bfloat16: autocast; positions, logits, motion and sampling coordinates stay float32
    frames_at_once: int = 1  # through the encoder
    correlation_mb: float = 8.0  # working memory for correlations
    directions_together: bool = False  # the time-reversed pass in one batch with the forward one

    def __post_init__(self) -> None:
        check_count("iterations", self.iterations, minimum=1)
        check_count("support_grid", self.support_grid, minimum=0)
        check_choice("precision", self.precision, PRECISIONS)
        check_count("frames_at_once", self.frames_at_once, minimum=1)
        check_number("correlation_mb", self.correlation_mb, minimum=0.0)

    @classmethod
    def for_device(cls, kind: str, **fields: Any) -> "EngineConfig":
        """Defaults that suit a kind of device: on a CPU little at a time, which stays in its cache; elsewhere much, in few calls."""
        if kind != "cpu":
            fields = {"frames_at_once": 16, "correlation_mb": 512.0, "directions_together": True, **fields}
        return cls(**fields)

    @property
    def correlation_bytes(self) -> int:
        """`correlation_mb` in bytes."""
        return int(self.correlation_mb * 2**20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """One step of the memory ladder. `note` is None on the first, which is as configured."""

    config: EngineConfig
    note: str | None = None


def single_clip_rungs(config: EngineConfig) -> tuple[Rung, ...]:
    """The rungs below a batch: a single clip, ever more frugal. Results are the same but for rounding."""
    apart = replace(config, directions_together=False)
    small = replace(apart, correlation_mb=min(4.0, config.correlation_mb), frames_at_once=1)
    alone = "one clip and one direction of time at a time"
    return (
        Rung(config=apart, note=f"out of memory: {alone}"),
        Rung(config=small, note=f"out of memory: {alone}, correlations in 4 MB, frames encoded one by one"),
    )


def first_that_fits(rungs: Sequence[Rung], work: Callable[[Rung], Result], *, what: str) -> Result:
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
