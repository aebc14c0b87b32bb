"""Which losses a stage of training takes, and how they weigh. Weights are ours where the TrajVG paper is silent, which is everywhere."""

import math
from dataclasses import dataclass

from pipeline.errors import ConfigError
from trainer.losses import CouplingSettings, CouplingWeights, GeometrySettings, GeometryWeights, TrackingSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingWeights:
    """Of the tracker's own losses, on clips with true tracks."""

    tracks: float = 1.0  # L_trk
    visibility: float = 1.0  # binary cross-entropy

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"weight of {name} is {getattr(self, name)}, expected 0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class LossSettings:
    """The losses of one stage; None leaves a family out."""

    geometry: GeometryWeights | None = GeometryWeights()  # π³'s, on labelled clips; its confidence only where > 0
    tracking: TrackingWeights | None = TrackingWeights()
    coupling: CouplingWeights | None = CouplingWeights()  # L_cons and L_cam on labelled clips
    self_supervised: CouplingWeights | None = CouplingWeights()  # L_self: the same on clips with pseudo tracks
    self_supervised_weight: float = 0.1  # of L_self as a whole against the labelled losses; ours
    geometry_settings: GeometrySettings = GeometrySettings()
    tracking_settings: TrackingSettings = TrackingSettings()
    coupling_settings: CouplingSettings = CouplingSettings()

    def __post_init__(self) -> None:
        if not 0 <= self.self_supervised_weight < math.inf:
            raise ConfigError(f"self_supervised_weight is {self.self_supervised_weight}, expected 0 or more")
        if not (self.learns_from_labels or self.learns_from_pseudo_tracks):
            raise ConfigError("no loss is taken: give one of geometry, tracking, coupling, self_supervised a weight above 0")

    @property
    def learns_from_labels(self) -> bool:
        """Whether labelled clips are of any use."""
        return any(_weighs(weights) for weights in (self.geometry, self.tracking, self.coupling))

    @property
    def learns_from_pseudo_tracks(self) -> bool:
        """Whether L_self counts."""
        return self.self_supervised_weight > 0 and _weighs(self.self_supervised)

    @property
    def needs_tracker(self) -> bool:
        """Whether the network must track."""
        return _weighs(self.tracking) or _weighs(self.coupling) or self.learns_from_pseudo_tracks


def _weighs(weights: GeometryWeights | TrackingWeights | CouplingWeights | None) -> bool:
    return weights is not None and any(getattr(weights, name) > 0 for name in weights.__slots__)
