"""The audit of one labelled clip."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.records import StaticPair, measure_names
from pipeline.audit.verdict import Verdict
from pipeline.errors import DataError
from pipeline.records.arrays import check_array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackAudit:
    """Stored measures of N tracks over T frames. Distances are pixels of the 256 x 256 raster, queries pixels of the stored clip."""

    queries: np.ndarray  # float32 "N 3", (t, x, y): which tracks these are
    weight: np.ndarray  # float32 "N" in [0, 1]
    bad_probability: np.ndarray | None  # float32 "N"; None without a calibration
    contract_error: np.ndarray  # bool "N"
    collapsed: np.ndarray  # bool "N"
    speed_px: np.ndarray  # float32 "N": median step between visible frames; NaN where there is none
    measures: Mapping[str, np.ndarray]  # by name of `measure_names`, float32 "N", NaN where unknown
    ncc: np.ndarray  # float32 "T N": likeness to the query's patch, NaN where unknown; stored to 1/127
    static_pairs: tuple[StaticPair, ...] = ()

    def __post_init__(self) -> None:
        check_array("queries", self.queries, "float32", (None, 3))
        num_tracks = len(self.queries)
        check_array("ncc", self.ncc, "float32", (None, num_tracks))
        for name in ("weight", "speed_px"):
            check_array(name, getattr(self, name), "float32", (num_tracks,))
        for name in ("contract_error", "collapsed"):
            check_array(name, getattr(self, name), "bool", (num_tracks,))
        if self.bad_probability is not None:
            check_array("bad_probability", self.bad_probability, "float32", (num_tracks,))
        if set(self.measures) != set(measure_names()):
            raise DataError(f"measures are {', '.join(sorted(self.measures))}; expected {', '.join(measure_names())}")
        for name, values in self.measures.items():
            check_array(name, values, "float32", (num_tracks,))

    @property
    def static_score(self) -> np.ndarray:
        """float32 "N" in [0, 1]: at least 0.5 is static in the world, NaN is unknown. The trainer's gate."""
        return self.measures["static_score"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackTrust:
    """The part of a TrackAudit that training needs; fields as there."""

    queries: np.ndarray  # float32 "N 3"
    weight: np.ndarray  # float32 "N"
    static_score: np.ndarray  # float32 "N", NaN where unknown
    ncc: np.ndarray  # float32 "T N", NaN where unknown
    static_pairs: tuple[StaticPair, ...]

    def __post_init__(self) -> None:
        check_array("queries", self.queries, "float32", (None, 3))
        check_array("ncc", self.ncc, "float32", (None, len(self.queries)))
        for name in ("weight", "static_score"):
            check_array(name, getattr(self, name), "float32", (len(self.queries),))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipAudit:
    """One clip of a shard. A clip without labels, or with labels that cannot be audited, has a verdict and no measures."""

    key: str
    verdict: Verdict
    clip_sha256: str | None = None  # of the video that was labelled
    error: str | None = None  # what is wrong, where something is
    video_s: float = 0.0  # length of the clip; 0 where it has no video
    num_frames: int = 0
    width: int = 0  # of the stored clip, as is height: in their pixels lie the queries
    height: int = 0
    license: str | None = None  # of its source
    measures: ClipMeasures | None = None
    tracks: TrackAudit | None = None

    def __post_init__(self) -> None:
        if self.verdict.decision == "error" and not self.error:
            raise DataError(f"clip {self.key}: audited as error without an error's text")
        if (self.measures is None) != (self.tracks is None):
            raise DataError(f"clip {self.key}: measures of the clip and of its tracks come together")
        if self.tracks is not None and self.clip_sha256 is None:
            raise DataError(f"clip {self.key}: measures without the sha256 of the video that was labelled")
