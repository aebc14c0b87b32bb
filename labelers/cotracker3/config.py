"""How the engine works."""

from dataclasses import dataclass
from typing import Any

from labelers.cotracker3.refinement import ITERATIONS
from labelers.options import check_choice, check_count, check_number

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineConfig:
    """Only `iterations`, `support_grid` and `precision` change what the engine finds; the others, by no more than rounding."""

    iterations: int = ITERATIONS
    support_grid: int = 6  # points per side of a grid on frame 0 that is tracked along for context; 0: none
    precision: str = "float32"  # bfloat16: autocast; positions, logits, motion and sampling coordinates stay float32
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
