"""The losses of a stage of a 2D tracker's training, their weights and every number in them.

"recipe" marks what CoTracker3's authors train on real video with (arXiv 2410.11831 and its code), "ancestor" what AllTracker does in that
place, "ours" what neither says.
"""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.records.parsing import check_choices
from trainer.losses.settings import any_weight, check_positive, check_weights

OccludedPenalty = Literal["l1", "huber"]
CountedFrames = Literal["variant", "from_query", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionWeights:
    """Weights of the positions [recipe]; 0 switches a term off."""

    visible: float = 0.05  # of points that are seen
    occluded: float = 0.01  # of points that are not, whose labelled positions are guesses

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisedWeights:
    """Weights of the supervised stage: positions [recipe], both scores [ancestor]; 0 switches a term off."""

    visible: float = 0.05
    occluded: float = 0.01
    visibility: float = 1.0
    confidence: float = 1.0

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackerSettings:
    """Numbers of both stages."""

    iterations: int = 4  # refinement steps of a window [recipe]
    gamma: float = 0.8  # an iteration counts so much for each that follows it [recipe]
    huber_px: float = 6.0  # of visible positions [recipe]
    occluded_penalty: OccludedPenalty = "l1"  # of occluded positions [recipe]; huber is what its authors say they had meant
    confident_px: float = 12.0  # a position as near as this is one to be confident of [recipe]
    # frames of a track that count. variant: from its query on for online models, all for offline ones [recipe]
    counted_frames: CountedFrames = "variant"
    audit_weights: bool = False  # a labelled track counts as its audit says; the recipe has no audit: ours

    def __post_init__(self) -> None:
        check_choices(self)
        if self.iterations < 1:
            raise ConfigError(f"iterations is {self.iterations}, expected 1 or more")
        if not 0 < self.gamma <= 1:
            raise ConfigError(f"gamma is {self.gamma}, expected in (0, 1]")
        for name in ("huber_px", "confident_px"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracker2dLosses:
    """The losses of one stage; None leaves a group out."""

    supervised: SupervisedWeights | None = SupervisedWeights()  # on clips with true tracks
    pseudo: PositionWeights | None = PositionWeights()  # on clips with labelled tracks: positions alone
    pseudo_weight: float = 1.0  # of the pseudo losses as a whole, beside supervised ones; ours
    settings: TrackerSettings = TrackerSettings()

    def __post_init__(self) -> None:
        if not 0 <= self.pseudo_weight < math.inf:
            raise ConfigError(f"pseudo_weight is {self.pseudo_weight}, expected 0 or more")
        if not (self.learns_from_labels or self.learns_from_pseudo_labels):
            raise ConfigError("no loss is taken: give supervised or pseudo a weight above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """Groups of losses that are not left out."""
        return tuple(name for name in ("supervised", "pseudo") if getattr(self, name) is not None)

    @property
    def learns_from_labels(self) -> bool:
        """Whether a loss of clips with truth counts."""
        return any_weight(self.supervised)

    @property
    def learns_from_pseudo_labels(self) -> bool:
        """Whether a loss of pseudo-labelled clips counts."""
        return self.pseudo_weight > 0 and any_weight(self.pseudo)

    @property
    def teaches_scores(self) -> bool:
        """Whether a loss of visibility and one of confidence count: only truth teaches them."""
        return self.supervised is not None and min(self.supervised.visibility, self.supervised.confidence) > 0
