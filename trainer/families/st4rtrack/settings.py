"""The losses of a stage of St4RTrack's training, their weights and every number in them. "ours" marks what the public code does not do."""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.records.parsing import check_choices
from trainer.families.st4rtrack.regression import ALPHA, DYNAMIC_FACTOR, StaticLevel
from trainer.losses.settings import any_weight, check_positive, check_weights

Adapt = Literal["tracking", "all"]
Mode = Literal["pair", "sequence"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisedWeights:
    """Weights of the losses of clips with truth; 0 switches a term off."""

    trajectory: float = 1.0  # head 1 at the first frame's tracked pixels
    geometry: float = 1.0  # head 2 at all pixels with depth
    velocity: float = 0.0  # differences of head 1 from frame to frame

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisedSettings:
    """Numbers of the losses of clips with truth."""

    mode: Mode = "pair"  # how moving pixels are told: by each pair's displacement, or by that from the first to the last frame
    alpha: float = ALPHA  # price of confidence
    reweight_dynamic: bool = True  # moving pixels get a constant weight, so that the network cannot doubt them away
    dynamic_factor: float = DYNAMIC_FACTOR
    dynamic_level: StaticLevel = "max"  # of the static pixels' confidence, which the factor multiplies
    dynamic_quantile: float = 0.75  # pair mode: of displacements, from which a pixel moves; the public code takes 0.5 on Kubric
    dynamic_or_mean: bool = True  # pair mode: the threshold is their mean where that is higher; not on Kubric
    unit: Literal["masked", "reference"] = "masked"  # a pair's unit of length: over valid pixels, or as the public code evaluates it

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive("dynamic_factor", self.dynamic_factor)
        if not 0 <= self.alpha < math.inf:
            raise ConfigError(f"alpha is {self.alpha}, expected 0 or more")
        if not 0 <= self.dynamic_quantile <= 1:
            raise ConfigError(f"dynamic_quantile is {self.dynamic_quantile}, expected in [0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptationWeights:
    """Weights of the losses of clips without truth [public script]; 0 switches a term off."""

    trajectory: float = 0.5  # reprojection of head 1 against 2D tracks, eq. (7)
    depth: float = 10.0  # head 2's depth against a depth label set, eq. (9)
    alignment: float = 5.0  # head 1 against head 2 at tracked points, eq. (10)
    rigidity: float = 0.0  # neighbours keep their distances

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptationSettings:
    """Numbers of the losses of clips without truth."""

    adapt: Adapt = "tracking"  # whose output moves: head 1's alone, as the project page says, or both, as the public script does
    pnp_pixels: int | None = 2048  # of a frame, drawn by confidence, that its camera is solved on; ours; None: all
    depth_fit: Literal["scale", "scale_shift"] = "scale"  # freedom of a frame's depth label; ours: scale_shift
    rigidity_stride: int = 4  # pixels between the points that must stay rigid
    track_weights: bool = True  # ours: a track counts by visibility, confidence and audit; False: all alike in the trajectory term
    middle: Literal["centre", "corner"] = "centre"  # principal point at (W - 1) / 2, or W / 2 as the public code has it
    swap_bounds: bool = False  # clamp projections to (H, W) for (x, y), as the public code does

    def __post_init__(self) -> None:
        check_choices(self)
        if self.pnp_pixels is not None and self.pnp_pixels < 6:
            raise ConfigError(f"pnp_pixels is {self.pnp_pixels}, expected 6 or more, or null for all")
        if self.rigidity_stride < 1:
            raise ConfigError(f"rigidity_stride is {self.rigidity_stride}, expected 1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class St4RTrackLosses:
    """The losses of one stage; None leaves a group out."""

    supervised: SupervisedWeights | None = SupervisedWeights()
    adaptation: AdaptationWeights | None = AdaptationWeights()
    adaptation_weight: float = 1.0  # of the adaptation as a whole against the supervised losses; ours
    supervised_settings: SupervisedSettings = SupervisedSettings()
    adaptation_settings: AdaptationSettings = AdaptationSettings()

    def __post_init__(self) -> None:
        if not 0 <= self.adaptation_weight < math.inf:
            raise ConfigError(f"adaptation_weight is {self.adaptation_weight}, expected 0 or more")
        if not (self.learns_from_labels or self.learns_from_pseudo_labels):
            raise ConfigError("no loss is taken: give one of supervised, adaptation a weight above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """Groups of losses that are not left out."""
        return tuple(name for name in ("supervised", "adaptation") if getattr(self, name) is not None)

    @property
    def learns_from_labels(self) -> bool:
        """Whether a loss of clips with truth counts."""
        return any_weight(self.supervised)

    @property
    def learns_from_pseudo_labels(self) -> bool:
        """Whether a loss of pseudo-labelled clips counts."""
        return self.adaptation_weight > 0 and any_weight(self.adaptation)
