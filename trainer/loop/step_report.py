"""What one step of training was like."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainer.losses.clip_losses import ClipLosses

STEPPED, GUARDED, SKIPPED = "stepped", "guarded", "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One step, over all processes."""

    step: int  # counted from 0
    outcome: str  # stepped; guarded: the loss was too large, and counted 0; skipped: there was nothing to learn from, and nothing changed
    loss: float | None  # None where it is no number
    terms: Mapping[str, float | None]  # each loss's mean over its clips, unweighted
    learning_rate: float  # of all but the encoder
    gradient_norm: float | None  # before clipping
    num_clips: int
    wait_s: float  # for data
    step_s: float  # for everything, waiting too
    reason: str | None = None  # of a step that was guarded or skipped; with the clips that are to blame, if any

    def row(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TermSums:
    """One process's losses, ready to be added to those of others."""

    sums: Mapping[str, tuple[float, int]]  # by term: sum over clips, and how many


def term_sums(sides: Iterable[ClipLosses]) -> TermSums:
    """Sums of every term."""
    return TermSums(sums={term.name: (float(term.values.detach().sum()), len(term.values)) for side in sides for term in side.terms})


def mean_terms(parts: Iterable[TermSums]) -> dict[str, float | None]:
    """Means over the clips of all processes; None where one is no number."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for part in parts:
        for name, (value, count) in part.sums.items():
            totals[name][0] += value
            totals[name][1] += count
    return {name: number(value / count) for name, (value, count) in sorted(totals.items())}


def number(value: float) -> float | None:
    """The value, or None for NaN and infinity, which JSON cannot say."""
    return value if abs(value) < float("inf") else None
