"""Pseudo-labels of one clip, one record per kind (TrackLabels, DepthLabels), and the identity and provenance of a labelling (LabelSet)."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.arrays import check_array, check_finite
from pipeline.records.cameras import CameraLabels

DepthScale: TypeAlias = Literal["metric", "relative", "inverse"]
DEPTH_SCALES: tuple[str, ...] = get_args(DepthScale)

QUERY_FRAMES = 4  # frames of a clip that tracks begin in unless asked otherwise; chosen by benchmarks/query_frames.py
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackLabels:
    """Tracks of N points over the T frames of one clip, in pixels of the stored clip (integer = pixel centre)."""

    kind: ClassVar[str] = "tracks"

    queries: npt.NDArray[np.float32]  # float32 "N 3"   (t, x, y)
    tracks_px: npt.NDArray[np.float32]  # float32 "T N 2"  (x, y); a prediction where invisible, never NaN
    visibility: npt.NDArray[np.bool_]  # bool "T N"  by the label set's recorded rule
    visibility_score: npt.NDArray[np.float32] | None = None  # float32 "T N" in [0, 1], raw
    confidence: npt.NDArray[np.float32] | None = None  # float32 "T N" in [0, 1], raw
    cycle_error_px: npt.NDArray[np.float32] | None = None  # float32 "N", NaN where it could not be measured
    degraded: str | None = None  # how they were made otherwise than configured, such as a rung of the memory ladder; the row's `notes`

    def __post_init__(self) -> None:
        size = self.tracks_px.shape[:2]
        check_array("tracks_px", self.tracks_px, "float32", (*size, 2))
        check_array("visibility", self.visibility, "bool", size)
        check_array("queries", self.queries, "float32", (size[1], 3))
        check_finite("tracks_px", self.tracks_px)
        check_finite("queries", self.queries)
        for name in ("visibility_score", "confidence"):
            score = getattr(self, name)
            if score is not None:
                check_array(name, score, "float32", size)
                if not ((score >= 0) & (score <= 1)).all():
                    raise DataError(f"{name} must lie in [0, 1]")
        if self.cycle_error_px is not None:
            check_array("cycle_error_px", self.cycle_error_px, "float32", size[1:])

    @property
    def num_values(self) -> int:
        """Point-frames."""
        return int(self.visibility.size)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DepthLabels:
    """Depth of every pixel of the T frames of one clip, at the clip's stored size.

    `scale` is `metric`: metres; `relative`: true depth but for one unknown factor; or `inverse`: 1 / depth is true but for an unknown
    factor and an unknown summand, as networks give it that were trained on disparity.
    """

    kind: ClassVar[str] = "depth"

    depth: npt.NDArray[np.float32]  # float32 "T H W", along z; 0 = invalid
    scale: DepthScale
    confidence: npt.NDArray[np.float32] | None = None  # float32 "T H W" in [0, 1], raw
    degraded: str | None = None  # as in TrackLabels

    def __post_init__(self) -> None:
        check_array("depth", self.depth, "float32", (None, None, None))
        check_finite("depth", self.depth)
        if (self.depth < 0).any():
            raise DataError("depth holds negative values; 0 is the one mark of invalid depth")
        if self.scale not in DEPTH_SCALES:
            raise DataError(f"the scale of depth is {self.scale!r}, expected one of {', '.join(DEPTH_SCALES)}")
        if self.confidence is not None:
            check_array("confidence", self.confidence, "float32", self.depth.shape)
            if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
                raise DataError("confidence must lie in [0, 1]")

    @property
    def num_values(self) -> int:
        """Pixels of all frames."""
        return int(self.depth.size)


Labels: TypeAlias = TrackLabels | DepthLabels | CameraLabels


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSet:
    """Identity and provenance of a set of labels. Holds no clock time, so that a rerun writes the same bytes.

    `configuration` is all that changes the labels: labeler options, query policy, visibility rule, seed.
    """

    labeler: str
    configuration: Mapping[str, Any]  # JSON types only
    kind: str = TrackLabels.kind  # of its labels
    checkpoint: str | None = None  # where the weights came from
    checkpoint_sha256: str | None = None
    precision: str = "float32"
    versions: Mapping[str, str] = field(default_factory=dict)  # packages that computed the labels; not part of the identity
    license: str | None = None  # of the checkpoint

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.labeler):
            raise DataError(f"labeler name {self.labeler!r} may hold only a-z 0-9 -")

    @property
    def queries(self) -> Mapping[str, Any]:
        """The query policy that the configuration records; empty where it records none."""
        found = self.configuration.get("queries")
        return found if isinstance(found, Mapping) else {}

    @property
    def name(self) -> str:
        """Directory name: `<labeler>-<8 hex of the configuration and checkpoint hash>`; of tracks without the kind."""
        identity = [self.labeler, self.configuration, self.checkpoint_sha256, self.precision]
        if self.kind != TrackLabels.kind:
            identity.append(self.kind)
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return f"{self.labeler}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
