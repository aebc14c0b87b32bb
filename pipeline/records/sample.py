"""One clip as training sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from pipeline.errors import DataError
from pipeline.records.arrays import check_finite
from pipeline.records.clip import PoseSource
from pipeline.records.fields import check_arrays
from pipeline.records.labels import DepthScale

Supervision = Literal["metric", "pseudo"]
SUPERVISION: tuple[Supervision, ...] = get_args(Supervision)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipSample:
    """T frames of one clip with their truth, labels and weights; an unknown field is None.

    Pixels are those of `frames` (integer = pixel centre). Cameras are OpenCV's (x right, y down, z forward). Dtypes and axes of the
    arrays, and how they follow a resize, crop or mirror, are in `pipeline.records.fields`.
    """

    key: str
    source: str
    split: str
    index: int  # position i in the stream's one infinite sequence
    frames: np.ndarray  # uint8 "T H W 3", RGB
    frame_indices: np.ndarray  # int64 "T": which frames of the stored clip these are
    frame_times: np.ndarray  # float64 "T": seconds from the clip's first frame
    supervision: Supervision
    valid_mask: np.ndarray | None = None  # bool "H W", of padded clips: True where frames show the picture, False in the margin
    dataset: str | None = None  # what the stream calls the dataset that the clip is of
    license: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # the manifest row's other columns
    # tracks
    tracks2d: np.ndarray | None = None  # float32 "T N 2"
    visibility: np.ndarray | None = None  # bool "T N"
    visibility_score: np.ndarray | None = None  # float32 "T N"
    confidence: np.ndarray | None = None  # float32 "T N"
    query_frame: np.ndarray | None = None  # int32 "N": index into these T frames, -1 where the query is not in them
    track_valid: np.ndarray | None = None  # bool "T N"
    track_weights: np.ndarray | None = None  # float32 "N" in [0, 1]: trust in each track, from an audit
    frame_weights: np.ndarray | None = None  # float32 "T N" in [0, 1]: the same per frame, 0 where invisible; the w of a loss over tracks
    static_score: np.ndarray | None = None  # float32 "N", from an audit: at least 0.5 is static in the world, NaN is unknown
    pose_signal: np.ndarray | None = None  # bool "T", from an audit: whether a loss on the camera may use the frame
    verdict: str | None = None  # keep | quarantine: of the audit on the clip
    tracks3d: np.ndarray | None = None  # float32 "T N 3", camera of each frame, metres
    tracks3d_world: np.ndarray | None = None  # float32 "T N 3"
    # cameras and geometry
    intrinsics: np.ndarray | None = None  # float32 "T 3 3"
    camera_to_world: np.ndarray | None = None  # float32 "T 4 4"
    pose_valid: np.ndarray | None = None  # bool "T"
    pose_source: PoseSource | None = None
    is_metric: bool = False
    depth: np.ndarray | None = None  # float32 "T H W", along z, 0 = invalid; metres where its scale is metric
    depth_confidence: np.ndarray | None = None  # float32 "T H W" in [0, 1], of pseudo depth whose labeler has one
    depth_source: str | None = None  # gt | pseudo
    depth_scale: DepthScale | None = None  # metric | relative | inverse: see DepthLabels
    sky_mask: np.ndarray | None = None  # bool "T H W"
    dynamic_mask: np.ndarray | None = None  # bool "T H W"

    def __post_init__(self) -> None:
        if self.supervision not in SUPERVISION:
            raise DataError(f"clip {self.key}: supervision is {self.supervision!r}, expected metric or pseudo")
        check_arrays(self, f"clip {self.key}: ")
        if self.tracks2d is not None:
            check_finite(f"clip {self.key}: tracks2d", self.tracks2d)
