"""Pseudo-labels of one clip, one record per kind, and the identity and provenance of a labelling (LabelSet)."""

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
WorldScale: TypeAlias = Literal["metric", "relative"]
WORLD_SCALES: tuple[str, ...] = get_args(WorldScale)

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
                _check_scores(name, score, size)
        if self.cycle_error_px is not None:
            check_array("cycle_error_px", self.cycle_error_px, "float32", size[1:])

    @property
    def num_values(self) -> int:
        """Point-frames."""
        return int(self.visibility.size)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tracks3dLabels(TrackLabels):
    """Tracks that are known in space too: they are read, audited and drawn as TrackLabels wherever tracks in the image are asked for.

    The world is that of the camera of the clip's first frame: its centre, its axes (x right, y down, z forward). `scale` is `metric`:
    metres; or `relative`: true but for one unknown factor of the clip. A position is a prediction where the point is invisible, and NaN
    in all three coordinates where it is not known in space, as of the sky.
    """

    kind: ClassVar[str] = "tracks3d"

    tracks_world: npt.NDArray[np.float32]  # float32 "T N 3"
    scale: WorldScale

    def __post_init__(self) -> None:
        TrackLabels.__post_init__(self)  # a class with slots has no super() without arguments
        check_array("tracks_world", self.tracks_world, "float32", (*self.visibility.shape, 3))
        known = np.isfinite(self.tracks_world)
        if np.isinf(self.tracks_world).any() or (known.any(axis=-1) != known.all(axis=-1)).any():
            raise DataError("tracks_world holds infinity, or positions of which some coordinates are NaN; an unknown one has three NaN")
        if self.scale not in WORLD_SCALES:
            raise DataError(f"the scale of tracks_world is {self.scale!r}, expected one of {', '.join(WORLD_SCALES)}")


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
            _check_scores("confidence", self.confidence, self.depth.shape)

    @property
    def num_values(self) -> int:
        """Pixels of all frames."""
        return int(self.depth.size)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FlowLabels:
    """Optical flow of T maps of one clip, at its stored size: one map per frame, which its pair of frames belongs to.

    Map i says for each pixel of frame `from_frame[i]` how far its point is moved in frame `to_frame[i]`. A frame without a pair, such
    as the last one of flow to the next frame, has -1 in both and no valid pixel.
    """

    kind: ClassVar[str] = "flow"

    flow: npt.NDArray[np.float32]  # float32 "T H W 2", (u, v): pixels right and down; 0 where invalid
    valid: npt.NDArray[np.bool_]  # bool "T H W"
    from_frame: npt.NDArray[np.int32]  # int32 "T", of the clip; -1 for none
    to_frame: npt.NDArray[np.int32]  # int32 "T", likewise
    confidence: npt.NDArray[np.float32] | None = None  # float32 "T H W" in [0, 1], raw
    degraded: str | None = None  # as in TrackLabels

    def __post_init__(self) -> None:
        check_array("flow", self.flow, "float32", (None, None, None, 2))
        size = self.flow.shape[:3]
        check_array("valid", self.valid, "bool", size)
        for name in ("from_frame", "to_frame"):
            check_array(name, getattr(self, name), "int32", size[:1])
        check_finite("flow", self.flow)
        without_pair = self.from_frame < 0
        if ((self.to_frame < 0) != without_pair).any():
            raise DataError("from_frame and to_frame are -1 together, or neither is")
        if self.valid[without_pair].any():
            raise DataError(f"map {int(np.argmax(without_pair))} has valid pixels, but no pair of frames")
        if self.flow[~self.valid].any():
            raise DataError("flow is 0 where it is invalid; found other values")
        if self.confidence is not None:
            _check_scores("confidence", self.confidence, size)

    @property
    def num_values(self) -> int:
        """Pixels of all maps."""
        return int(self.valid.size)


Labels: TypeAlias = TrackLabels | DepthLabels | FlowLabels | CameraLabels  # Tracks3dLabels are TrackLabels


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSet:
    """Identity and provenance of a set of labels. Holds no clock time, so that a rerun writes the same bytes.

    `configuration` is all that changes the labels: labeler options, query policy, visibility rule, seed. `parents` are no part of the
    identity, which the checkpoint's hash is.
    """

    labeler: str
    configuration: Mapping[str, Any]  # JSON types only
    kind: str = TrackLabels.kind  # of its labels
    checkpoint: str | None = None  # where the weights came from
    checkpoint_sha256: str | None = None
    precision: str = "float32"
    versions: Mapping[str, str] = field(default_factory=dict)  # packages that computed the labels; not part of the identity
    license: str | None = None  # of the checkpoint
    # what the checkpoint was trained on, where it says: {"sources": [{"dataset", "labels", "audit"}], "licenses": [...]}
    parents: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.labeler):
            raise DataError(f"labeler name {self.labeler!r} may hold only a-z 0-9 -")

    @property
    def parent_licenses(self) -> tuple[str, ...]:
        """Licences of all that the checkpoint was made of."""
        return () if self.parents is None else tuple(map(str, self.parents.get("licenses", ())))

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


def _check_scores(name: str, scores: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise DataError unless `scores` are float32 of this shape and lie in [0, 1]."""
    check_array(name, scores, "float32", shape)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise DataError(f"{name} must lie in [0, 1]")
