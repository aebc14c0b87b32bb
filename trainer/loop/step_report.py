"""Report of one step of training, summed over all processes that train together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

import torch
from torch import distributed

from trainer.data.workers import available_cpus
from trainer.losses.clip_losses import ClipLosses

Item = TypeVar("Item")
Outcome = Literal["stepped", "guarded", "skipped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessRank:
    """Rank and device of this process. A world_size above 1 needs torch's process group set up by the caller."""

    device: torch.device
    rank: int = 0
    world_size: int = 1
    cpus: int = field(default_factory=available_cpus)  # of this process and its loader's

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0


def sum_over_processes(values: Sequence[float], process: ProcessRank) -> list[float]:
    """Each value's sum over all processes, in float64."""
    if process.world_size == 1:
        return [float(value) for value in values]
    total = torch.tensor(values, dtype=torch.float64, device=process.device)
    distributed.all_reduce(total)
    return [float(value) for value in total.tolist()]


def gather_over_processes(item: Item, process: ProcessRank) -> list[Item]:
    """Every process's item, in the order of their ranks; anything that can be pickled."""
    if process.world_size == 1:
        return [item]
    items: list[Item] = [item] * process.world_size
    distributed.all_gather_object(items, item)
    return items


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One step, over all processes; seconds, memory and operations are the leading one's."""

    step: int  # counted from 0
    outcome: Outcome  # guarded: the loss was too large, and counted 0; skipped: there was nothing to learn from, and nothing changed
    loss: float | None  # None where it is not finite
    terms: Mapping[str, float | None]  # each loss's mean over its clips, unweighted
    learning_rate: float  # of all but the encoder
    gradient_norm: float | None  # before clipping
    gradient_norms: Mapping[str, float | None]  # of each part of the network that learns, before clipping
    num_clips: int
    skipped_clips: Mapping[str, int]  # clips that could not be used, by dataset; without those that have none
    wait_s: float  # for data, until they are on the device
    step_s: float  # for everything, waiting too
    parts_s: Mapping[str, float]  # of step_s: data, transfer (both of wait_s), forward (with losses), backward, optimiser
    peak_memory_mb: float | None  # of the device in this step; on the CPU, of the process so far
    tflops: float | None = None  # 1e12 operations of the forward and backward pass; on steps that are logged
    mfu: float | None = None  # these per second, as a share of the device's peak; None where that is not known
    reason: str | None = None  # of a step that was guarded or skipped; with the clips that are to blame, if any

    def row(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TermSums:
    """One process's losses, to be added to those of the others."""

    sums: Mapping[str, tuple[float, int]]  # by term: sum over clips, and how many


def term_sums(sides: Iterable[ClipLosses]) -> TermSums:
    """Sums of every term."""
    return TermSums(sums={term.name: (float(term.values.detach().sum()), len(term.values)) for side in sides for term in side.terms})


def mean_terms(parts: Iterable[TermSums]) -> dict[str, float | None]:
    """Means over the clips of all processes; None where one is not finite."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for part in parts:
        for name, (value, count) in part.sums.items():
            totals[name][0] += value
            totals[name][1] += count
    return {name: finite_or_none(value / count) for name, (value, count) in sorted(totals.items())}


def finite_or_none(value: float) -> float | None:
    """The value, or None for NaN and infinity, which JSON cannot hold."""
    return value if abs(value) < float("inf") else None
