"""What processes that train together tell each other. One process alone needs no group, and everything here is then the identity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessRank:
    """Where this process stands. Whoever sets world_size above 1 has set up torch's process group."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether it is this one that writes."""
        return self.rank == 0


def summed(values: Sequence[float], process: ProcessRank) -> list[float]:
    """Each value's sum over all processes, in float64."""
    if process.world_size == 1:
        return [float(value) for value in values]
    total = torch.tensor(values, dtype=torch.float64, device=process.device)
    distributed.all_reduce(total)
    return [float(value) for value in total.tolist()]


def gathered(item: Item, process: ProcessRank) -> list[Item]:
    """Every process's item, in the order of their ranks; everything that can be pickled will do."""
    if process.world_size == 1:
        return [item]
    items: list[Item] = [item] * process.world_size
    distributed.all_gather_object(items, item)
    return items
