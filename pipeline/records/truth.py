"""Ground truth of one clip: as a dataset's reader or the renderer gives it, and the true 2D tracks of a stored clip."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.arrays import check_array, check_finite
from pipeline.records.fields import FIELDS, arrays_of, check_arrays

TrackSource = Literal["gt", "reprojection"]  # reprojection: from depth and poses, static points only
_COMPANY = {
    "camera_to_world": ("pose_valid",),
    "flow": ("flow_valid", "flow_from_frame", "flow_to_frame"),
    "tracks2d": ("visibility", "track_valid", "query_frame"),
}
TRACK_SOURCES: tuple[TrackSource, ...] = get_args(TrackSource)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TruthClip:
    """T frames of one camera with the truth of their source; an unknown field is None.

    Pixels (x, y), integer = pixel centre. Cameras are OpenCV's (x right, y down, z forward), in whatever world the source has; what
    is stored has the first valid camera as its origin. Metres where `is_metric`.
    """

    frames: npt.NDArray[np.uint8]  # uint8 "T H W 3", RGB
    images: tuple[bytes, ...] | None = None  # the source's own image files, stored untouched instead of a video
    image_suffix: Literal["jpg", "png"] = "jpg"  # of `images`
    frame_times: npt.NDArray[np.float64]  # float64 "T": seconds from the clip's first frame
    intrinsics: npt.NDArray[np.float32] | None = None  # float32 "T 3 3"
    camera_to_world: npt.NDArray[np.float32] | None = None  # float32 "T 4 4"; identity where not pose_valid
    pose_valid: npt.NDArray[np.bool_] | None = None  # bool "T"; comes with camera_to_world
    depth: npt.NDArray[np.float32] | None = None  # float32 "T H W", along z, 0 = invalid
    sky_mask: npt.NDArray[np.bool_] | None = None  # bool "T H W": no depth because infinitely far
    dynamic_mask: npt.NDArray[np.bool_] | None = None  # bool "T H W": the surface moves in the world
    flow: npt.NDArray[np.float32] | None = None  # float32 "T H W 2", by FlowLabels, as are the next three: they come together
    flow_valid: npt.NDArray[np.bool_] | None = None  # bool "T H W"
    flow_from_frame: npt.NDArray[np.int32] | None = None  # int32 "T"
    flow_to_frame: npt.NDArray[np.int32] | None = None  # int32 "T"
    tracks2d: npt.NDArray[np.float32] | None = None  # float32 "T N 2"
    tracks3d: npt.NDArray[np.float32] | None = None  # float32 "T N 3", camera of each frame
    tracks3d_world: npt.NDArray[np.float32] | None = None  # float32 "T N 3"
    visibility: npt.NDArray[np.bool_] | None = None  # bool "T N"; comes with tracks2d
    track_valid: npt.NDArray[np.bool_] | None = None  # bool "T N": coordinates can be used; comes with tracks2d
    query_frame: npt.NDArray[np.int32] | None = None  # int32 "N": where the track begins
    is_metric: bool = False
    track_source: TrackSource | None = None
    depth_source: Literal["gt", "sensor", "mvs", "render"] | None = None
    license: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)  # dataset, sequence, camera, orig_size, stride, ...: JSON types

    def __post_init__(self) -> None:
        check_arrays(self)
        for name, array in arrays_of(self).items():
            if FIELDS[name].dtype == "float32":
                check_finite(name, array)
        self._check_company(len(self.frames))

    def _check_company(self, num_frames: int) -> None:
        for name, company in _COMPANY.items():
            for other in company:
                if (getattr(self, name) is None) != (getattr(self, other) is None):
                    raise DataError(f"{name} and {other} come together: one of them is missing")
        if (self.tracks2d is None) != (self.track_source is None) or self.track_source not in (*TRACK_SOURCES, None):
            raise DataError(f"track_source is {self.track_source!r}, expected one of {', '.join(TRACK_SOURCES)} where there are tracks")
        if self.depth is not None and (self.depth < 0).any():
            raise DataError("depth holds negative values; 0 is the one mark of invalid depth")
        if self.images is not None and len(self.images) != num_frames:
            raise DataError(f"{len(self.images)} image files for {num_frames} frames")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackTruth:
    """True 2D tracks of one stored clip: labels are measured against them, and queries may be taken from them.

    N points over its T frames, in pixels of the stored clip (integer = pixel centre).
    """

    tracks_px: npt.NDArray[np.float32]  # float32 "T N 2"  (x, y)
    visibility: npt.NDArray[np.bool_]  # bool "T N"
    track_valid: npt.NDArray[np.bool_]  # bool "T N": the position can be used; where not, nothing is known of the point
    query_frame: npt.NDArray[np.int32]  # int32 "N": where the track begins

    def __post_init__(self) -> None:
        size = self.tracks_px.shape[:2]
        check_array("tracks2d", self.tracks_px, "float32", (*size, 2))
        check_array("visibility", self.visibility, "bool", size)
        check_array("track_valid", self.track_valid, "bool", size)
        check_array("query_frame", self.query_frame, "int32", size[1:])
        check_finite("tracks2d", self.tracks_px)

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """bool "T N": visible at a position that can be used."""
        return np.logical_and(self.visibility, self.track_valid)

    def chosen(self, tracks: npt.NDArray[np.int64]) -> "TrackTruth":
        """The truth of some of the tracks: "n" indices, in this order."""
        return TrackTruth(
            tracks_px=self.tracks_px[:, tracks],
            visibility=self.visibility[:, tracks],
            track_valid=self.track_valid[:, tracks],
            query_frame=self.query_frame[tracks],
        )
