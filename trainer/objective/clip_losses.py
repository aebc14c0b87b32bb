"""The losses of B clips, term by term."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.losses import CouplingTerms, CouplingWeights


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LossTerm:
    """One loss of B clips."""

    name: str
    weight: float  # 0: only to be watched
    values: Tensor  # "B", unweighted


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipLosses:
    """All losses of B clips; a term of weight 0 is no part of the total, nor of its gradient, whatever it is."""

    keys: tuple[str, ...]
    terms: tuple[LossTerm, ...]

    def total(self) -> Tensor:
        """The weighted sum, "B"."""
        return torch.stack([term.weight * term.values for term in self.terms if term.weight > 0]).sum(0)

    def broken(self) -> tuple[str, ...]:
        """Clips whose total is NaN or infinite, each with the terms that are."""
        finite = torch.stack([term.values.detach().isfinite() for term in self.terms if term.weight > 0]).tolist()
        names = [term.name for term in self.terms if term.weight > 0]
        by_clip = [[name for name, row in zip(names, finite, strict=True) if not row[clip]] for clip in range(len(self.keys))]
        return tuple(f"{key} ({', '.join(found)})" for key, found in zip(self.keys, by_clip, strict=True) if found)


def coupling_terms(terms: CouplingTerms, weights: CouplingWeights, *, prefix: str, factor: float = 1.0) -> tuple[LossTerm, ...]:
    """The coupling losses under names such as "self/camera_poses".

    Args:
        factor: of all weights.
    """
    named = {name: getattr(terms, name) for name in weights.__slots__}
    losses = tuple(
        LossTerm(name=f"{prefix}/{name}", weight=factor * getattr(weights, name), values=values)
        for name, values in named.items()
        if values is not None
    )
    watched = ("scene_scale", "static_share")
    return losses + tuple(LossTerm(name=f"{prefix}/{name}", weight=0.0, values=getattr(terms, name)) for name in watched)
