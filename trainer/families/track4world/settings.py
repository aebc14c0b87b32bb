"""The losses of a stage of Track4World's training, their weights and every number in them.

"paper" marks what arXiv 2603.02573 states, "ancestor" what AllTracker, MoGe or π³ do, "ours" what none of them says.
"""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.records.parsing import check_choices
from trainer.losses.settings import any_weight, check_positive, check_weights

PlanarReduction = Literal["paper", "alltracker"]
WithoutScale = Literal["leave_out", "scale_alone"]


@dataclass(frozen=True, kw_only=True, slots=True)
class GeometryStageWeights:
    """Weights of the first stage's losses; all ours but pose, which is π³'s. 0 switches a term off."""

    points: float = 1.0  # of the clip, after one scale and shift
    poses: float = 0.1
    magnitude: float = 0.1  # keeps the mean norm of the points at 1
    normals: float = 1.0
    local: float = 1.0  # of patches, each after a scale and shift of its own

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class GeometryStageSettings:
    """Numbers of the first stage [ancestor]."""

    solver_points: int = 1024  # pixels of a clip that scale and shift are solved on; ours: MoGe takes 1024 of each image
    truncation: float = 1.0  # a solver's weighted error costs this at most
    without_scale: WithoutScale = "leave_out"  # a clip whose scale is not positive; ours: scale_alone, without shift, for fresh networks
    heaviest: float = 10.0  # a point's weight 1 / depth is at most so many times the mean weight
    huber: float = 0.1  # of translations
    translation_weight: float = 100.0  # against the rotation's radians, inside the pose loss
    depth_edge: float = 0.03  # relative step of depth within 3 x 3 pixels that no normal is taken across
    local_levels: tuple[int, ...] = (4, 16, 64)  # a patch's radius is the image's half diagonal divided by this
    local_anchors: tuple[int, ...] = (16, 256, 4096)  # patches of an image at each level
    local_sides: tuple[int, ...] = (16, 8, 4)  # a patch is thinned to side x side pixels for its solver
    local_fewest: int = 32  # points of a patch

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("solver_points", "truncation", "heaviest", "huber", "translation_weight", "depth_edge", "local_fewest"):
            check_positive(name, getattr(self, name))
        sizes = (self.local_levels, self.local_anchors, self.local_sides)
        if len({len(each) for each in sizes}) > 1 or any(value < 1 for each in sizes for value in each):
            raise ConfigError(
                f"local_levels {list(sizes[0])}, local_anchors {list(sizes[1])}, local_sides {list(sizes[2])}; expected as many of each,"
                " all 1 or more"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanarWeights:
    """Weights of the second stage's 2D losses [ancestor]; 0 switches a term off."""

    trajectory: float = 0.05
    visibility: float = 1.0
    confidence: float = 1.0

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpatialWeights:
    """Weights of the second stage's 3D losses; ours. 0 switches a term off."""

    position: float = 1.0
    smoothness: float = 0.1

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionSettings:
    """Numbers of the second stage."""

    iterations: int = 4  # K of the decoder [ancestor]; 3 for long clips
    reduction: PlanarReduction = "paper"  # of the 2D terms to one number
    decay: float = 0.8  # an iteration counts as much for each that follows it [paper]
    occluded: float = 0.2  # of a hidden point's position, 1 of a visible one's [paper]
    confident_px: float = 12.0  # a position as near as this is one to be confident of [ancestor]
    anchors: int = 1024  # points of a clip, at most, whose flow must be that of their neighbours; ours
    neighbours: int = 8  # of each; ours
    same_surface: float = 0.05  # of a track's distance: as near to it the depth map must be for a 3D term; ours

    def __post_init__(self) -> None:
        check_choices(self)
        if min(self.iterations, self.anchors, self.neighbours) < 1:
            raise ConfigError(
                f"iterations is {self.iterations}, anchors {self.anchors}, neighbours {self.neighbours}; expected all 1 or more"
            )
        if not (0 < self.decay <= 1 and 0 <= self.occluded <= 1):
            raise ConfigError(f"decay is {self.decay}, occluded {self.occluded}; expected in (0, 1] and [0, 1]")
        for name in ("confident_px", "same_surface"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Track4WorldLosses:
    """The losses of one stage; None leaves a group out."""

    geometry: GeometryStageWeights | None = None  # first stage, on clips with truth: teaches the backbone alone
    planar: PlanarWeights | None = PlanarWeights()  # second stage, on clips with truth: 2D flow, visibility, confidence
    spatial: SpatialWeights | None = SpatialWeights()  # second stage, on clips with truth: 3D flow
    pseudo: PlanarWeights | None = PlanarWeights()  # second stage, on clips with pseudo tracks: they have 2D terms alone
    pseudo_weight: float = 1.0  # of the pseudo losses as a whole; ours
    geometry_settings: GeometryStageSettings = GeometryStageSettings()
    motion_settings: MotionSettings = MotionSettings()

    def __post_init__(self) -> None:
        if not 0 <= self.pseudo_weight < math.inf:
            raise ConfigError(f"pseudo_weight is {self.pseudo_weight}, expected 0 or more")
        if not (self.learns_from_labels or self.learns_from_pseudo_labels):
            raise ConfigError("no loss is taken: give one of geometry, planar, spatial, pseudo a weight above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """Groups of losses that are not left out."""
        return tuple(name for name in ("geometry", "planar", "spatial", "pseudo") if getattr(self, name) is not None)

    @property
    def learns_from_labels(self) -> bool:
        """Whether a loss of clips with truth counts."""
        return self.learns_geometry or self.learns_motion_from_labels

    @property
    def learns_from_pseudo_labels(self) -> bool:
        """Whether a loss of pseudo-labelled clips counts."""
        return self.pseudo_weight > 0 and any_weight(self.pseudo)

    @property
    def learns_geometry(self) -> bool:
        """Whether the first stage's losses count."""
        return any_weight(self.geometry)

    @property
    def learns_motion_from_labels(self) -> bool:
        """Whether the second stage's losses count on clips with truth."""
        return any_weight(self.planar) or any_weight(self.spatial)
