"""One clip as training sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.arrays import check_finite
from pipeline.records.cameras import PoseScale
from pipeline.records.clip import PoseSource
from pipeline.records.fields import check_arrays
from pipeline.records.labels import DepthScale, WorldScale

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
    frames: npt.NDArray[np.uint8]  # uint8 "T H W 3", RGB
    frame_indices: npt.NDArray[np.int64]  # int64 "T": which frames of the stored clip these are
    frame_times: npt.NDArray[np.float64]  # float64 "T": seconds from the clip's first frame
    supervision: Supervision
    valid_mask: npt.NDArray[np.bool_] | None = None  # bool "H W", of padded clips: True where frames show the picture, False in the margin
    dataset: str | None = None  # what the stream calls the dataset that the clip is of
    license: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # the manifest row's other columns
    # tracks
    tracks2d: npt.NDArray[np.float32] | None = None  # float32 "T N 2"
    visibility: npt.NDArray[np.bool_] | None = None  # bool "T N"
    visibility_score: npt.NDArray[np.float32] | None = None  # float32 "T N"
    confidence: npt.NDArray[np.float32] | None = None  # float32 "T N"
    query_frame: npt.NDArray[np.int32] | None = None  # int32 "N": index into these T frames, -1 where the query is not in them
    track_valid: npt.NDArray[np.bool_] | None = None  # bool "T N"
    track_weights: npt.NDArray[np.float32] | None = None  # float32 "N" in [0, 1]: trust in each track, from an audit
    frame_weights: npt.NDArray[np.float32] | None = None  # float32 "T N" in [0, 1]: per frame, 0 where invisible; the w of a loss
    static_score: npt.NDArray[np.float32] | None = None  # float32 "N", from an audit: at least 0.5 is static in the world, NaN is unknown
    pose_signal: npt.NDArray[np.bool_] | None = None  # bool "T", from an audit: whether a loss on the camera may use the frame
    verdict: str | None = None  # keep | quarantine: of the audit on the clip
    tracks3d: npt.NDArray[np.float32] | None = None  # float32 "T N 3", camera of each frame, metres
    tracks3d_world: npt.NDArray[np.float32] | None = None  # float32 "T N 3"; of labels NaN where unknown, see Tracks3dLabels
    tracks3d_source: str | None = None  # gt | pseudo: of both
    tracks3d_scale: WorldScale | None = None  # metric | relative: of both
    # cameras and geometry
    intrinsics: npt.NDArray[np.float32] | None = None  # float32 "T 3 3"
    camera_to_world: npt.NDArray[np.float32] | None = None  # float32 "T 4 4"
    pose_valid: npt.NDArray[np.bool_] | None = None  # bool "T"
    pose_source: PoseSource | None = None
    pose_scale: PoseScale | None = None  # metric | relative: see CameraLabels
    is_metric: bool = False
    depth: npt.NDArray[np.float32] | None = None  # float32 "T H W", along z, 0 = invalid; metres where its scale is metric
    depth_confidence: npt.NDArray[np.float32] | None = None  # float32 "T H W" in [0, 1], of pseudo depth whose labeler has one
    depth_source: str | None = None  # gt | pseudo
    depth_scale: DepthScale | None = None  # metric | relative | inverse: see DepthLabels
    sky_mask: npt.NDArray[np.bool_] | None = None  # bool "T H W"
    dynamic_mask: npt.NDArray[np.bool_] | None = None  # bool "T H W"
    # flow, by FlowLabels: a map per frame, of the pair of frames that it belongs to
    flow: npt.NDArray[np.float32] | None = None  # float32 "T H W 2", (u, v) pixels; 0 where invalid
    flow_valid: npt.NDArray[np.bool_] | None = None  # bool "T H W"
    flow_confidence: npt.NDArray[np.float32] | None = None  # float32 "T H W" in [0, 1], where the labeler has one
    flow_from_frame: npt.NDArray[np.int32] | None = None  # int32 "T": index into these T frames, -1 where that frame is not in them
    flow_to_frame: npt.NDArray[np.int32] | None = None  # int32 "T": likewise
    flow_source: str | None = None  # gt | pseudo

    def __post_init__(self) -> None:
        if self.supervision not in SUPERVISION:
            raise DataError(f"clip {self.key}: supervision is {self.supervision!r}, expected metric or pseudo")
        check_arrays(self, f"clip {self.key}: ")
        if self.tracks2d is not None:
            check_finite(f"clip {self.key}: tracks2d", self.tracks2d)
