"""The losses of a stage of TrajVG's training, their weights and every number in them.

"ours" marks what the TrajVG paper does not state; weights it states none.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.records.parsing import check_choices
from trainer.losses.penalties import Reduction
from trainer.losses.settings import GeometrySettings, GeometryWeights, any_weight, check_positive, check_weights

Gate = Literal["audit", "residual", "epipolar"]


@dataclass(frozen=True, kw_only=True, slots=True)
class GateSettings:
    """Gates that decide which pseudo tracks count as static; all ours, the paper is silent."""

    gates: tuple[Gate, ...] = ("audit",)  # a track must pass all; () takes every track for static
    static_score: float = 0.5  # audit: from here on a track is static; an unknown score is not
    residual_mads: float = 2.5  # residual: k of median + k 1.4826 MAD
    residual_floor: float = 0.02  # residual: always passes below, as a share of the depth in the anchor frame
    sampson_px: float = 1.5  # epipolar: distance from the predicted cameras' epipolar geometry, pixels of the point map
    vote_share: float = 0.8  # residual, epipolar: of its visible frames that a static track must pass

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("residual_mads", "residual_floor", "sampson_px"):
            check_positive(name, getattr(self, name))
        if not (0 < self.vote_share <= 1 and 0 < self.static_score <= 1):
            raise ConfigError(f"vote_share is {self.vote_share}, static_score {self.static_score}; expected both in (0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class CouplingSettings:
    """Settings of the losses that couple tracks, point maps and cameras."""

    huber: float = 0.1  # ours, like π³'s for translations; units of the normalised scene
    reduction: Reduction = "mean"  # ours: divided by max(sum of the weights, 1) per clip; "sum" as printed
    cam_target: Literal["gt", "anchor"] = (
        "gt"  # of the pose term on labelled clips: gt as printed, or anchor as the text says; without labels always anchor
    )
    points: Literal["pointmap", "track", "both"] = (
        "pointmap"  # who learns from the point term: pointmap as printed, track as the text says, both
    )
    self_pose_form: Literal["points", "reprojection"] = (
        "points"  # of the pose term on clips without labels: points as printed; reprojection, not the paper's, needs no depth of frame t
    )
    anchor: int = 0  # ours: the frame of the queries
    static_tau_m: float = 0.05  # ours: metres, for datasets in metres
    static_tau_relative: float = 0.02  # ours: share of the clip's mean point distance, for all others
    scale_gradient: Literal["invariant", "detached"] = (
        "invariant"  # ours: "invariant" leaves the size of the scene alone; with "detached" it shrinks away
    )
    gate: GateSettings = field(default_factory=GateSettings)

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("huber", "static_tau_m", "static_tau_relative"):
            check_positive(name, getattr(self, name))
        if self.anchor < 0:
            raise ConfigError(f"anchor is {self.anchor}, expected a frame of the clip, 0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingSettings:
    """Losses of the tracker; all ours, in the form of CoTracker3."""

    gamma: float = 0.8  # an iteration before the last counts so much less
    huber: float | None = None  # None: L1
    depth_weighted: bool = True  # errors relative to depth, like π³'s points
    occluded_weight: float = 1.0  # of a point that is known but not seen, against 1

    def __post_init__(self) -> None:
        if not 0 < self.gamma <= 1:
            raise ConfigError(f"gamma is {self.gamma}, expected in (0, 1]")
        if self.huber is not None:
            check_positive("huber", self.huber)
        if not 0 <= self.occluded_weight <= 1:
            raise ConfigError(f"occluded_weight is {self.occluded_weight}, expected in [0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class CouplingWeights:
    """Weights of the coupling terms; the paper states none, all ours. 0 switches a term off."""

    consistency_points: float = 1.0  # eq. (6), to the point map
    consistency_tracks: float = 1.0  # eq. (6), to the tracks
    camera_poses: float = 1.0  # L_cam, first term
    camera_points: float = 1.0  # L_cam, second term; labelled clips only

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingWeights:
    """Weights of the tracker's own losses, on clips with true tracks."""

    tracks: float = 1.0  # L_trk
    visibility: float = 1.0  # binary cross-entropy

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrajVGLosses:
    """The losses of one stage; None leaves a group out."""

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
        if not (self.learns_from_labels or self.learns_from_pseudo_labels):
            raise ConfigError("no loss is taken: give one of geometry, tracking, coupling, self_supervised a weight above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """Groups of losses that are not left out."""
        return tuple(name for name in ("geometry", "tracking", "coupling", "self_supervised") if getattr(self, name) is not None)

    @property
    def learns_from_labels(self) -> bool:
        """Whether a loss of labelled clips counts."""
        return any(any_weight(weights) for weights in (self.geometry, self.tracking, self.coupling))

    @property
    def learns_from_pseudo_labels(self) -> bool:
        """Whether L_self counts."""
        return self.self_supervised_weight > 0 and any_weight(self.self_supervised)

    @property
    def needs_confidence(self) -> bool:
        """Whether the network must compute confidence."""
        return self.geometry is not None and self.geometry.confidence > 0

    @property
    def needs_tracks(self) -> bool:
        """Whether the network must track."""
        return any_weight(self.tracking) or any_weight(self.coupling) or self.learns_from_pseudo_labels
