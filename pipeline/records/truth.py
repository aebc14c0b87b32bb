"""One clip with ground truth, as a dataset's reader or the renderer gives it: what a conversion stores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.records.arrays import check_array, check_finite

TRACK_SOURCES = ("gt", "reprojection")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TruthClip:
    """T frames of one camera with what their source knows; what it does not know is None.

    Pixels (x, y), integer = pixel centre. Cameras are OpenCV's (x right, y down, z forward), in whatever world the source has; what
    is stored has the first valid camera as its origin. Metres where `is_metric`.
    """

    frames: np.ndarray  # uint8 "T H W 3", RGB
    images: tuple[bytes, ...] | None = None  # the source's own image files, stored untouched instead of a video
    image_suffix: str = "jpg"  # of `images`: jpg or png
    frame_times: np.ndarray  # float64 "T": seconds from the clip's first frame
    intrinsics: np.ndarray | None = None  # float32 "T 3 3"
    camera_to_world: np.ndarray | None = None  # float32 "T 4 4"; identity where not pose_valid
    pose_valid: np.ndarray | None = None  # bool "T"; comes with camera_to_world
    depth: np.ndarray | None = None  # float32 "T H W", along z, 0 = invalid
    sky_mask: np.ndarray | None = None  # bool "T H W": no depth because infinitely far
    dynamic_mask: np.ndarray | None = None  # bool "T H W": the surface moves in the world
    tracks2d: np.ndarray | None = None  # float32 "T N 2"
    tracks3d: np.ndarray | None = None  # float32 "T N 3", camera of each frame
    tracks3d_world: np.ndarray | None = None  # float32 "T N 3"
    visibility: np.ndarray | None = None  # bool "T N"; comes with tracks2d
    track_valid: np.ndarray | None = None  # bool "T N": coordinates can be used; comes with tracks2d
    query_frame: np.ndarray | None = None  # int32 "N": where the track begins
    is_metric: bool = False
    track_source: str | None = None  # gt | reprojection: from depth and poses, static points only
    depth_source: str | None = None  # gt | sensor | mvs | render
    license: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)  # dataset, sequence, camera, orig_size, stride, ...: JSON types

    def __post_init__(self) -> None:
        check_array("frames", self.frames, "uint8", (None, None, None, 3))
        num_frames, height, width, _ = self.frames.shape
        num_tracks = None if self.tracks2d is None else self.tracks2d.shape[1]
        image, per_track = (num_frames, height, width), (num_frames, num_tracks)
        for name, dtype, shape in (
            ("frame_times", "float64", (num_frames,)),
            ("intrinsics", "float32", (num_frames, 3, 3)),
            ("camera_to_world", "float32", (num_frames, 4, 4)),
            ("pose_valid", "bool", (num_frames,)),
            ("depth", "float32", image),
            ("sky_mask", "bool", image),
            ("dynamic_mask", "bool", image),
            ("tracks2d", "float32", (*per_track, 2)),
            ("tracks3d", "float32", (*per_track, 3)),
            ("tracks3d_world", "float32", (*per_track, 3)),
            ("visibility", "bool", per_track),
            ("track_valid", "bool", per_track),
            ("query_frame", "int32", (num_tracks,)),
        ):
            array = getattr(self, name)
            if array is not None:
                check_array(name, array, dtype, shape)
        for name in ("intrinsics", "camera_to_world", "depth", "tracks2d", "tracks3d", "tracks3d_world"):
            if getattr(self, name) is not None:
                check_finite(name, getattr(self, name))
        self._check_company(num_frames)

    def _check_company(self, num_frames: int) -> None:
        for name, company in (("camera_to_world", ("pose_valid",)), ("tracks2d", ("visibility", "track_valid", "query_frame"))):
            for other in company:
                if (getattr(self, name) is None) != (getattr(self, other) is None):
                    raise DataError(f"{name} and {other} come together: one of them is missing")
        if (self.tracks2d is None) != (self.track_source is None) or self.track_source not in (*TRACK_SOURCES, None):
            raise DataError(f"track_source is {self.track_source!r}, expected one of {', '.join(TRACK_SOURCES)} where there are tracks")
        if self.depth is not None and (self.depth < 0).any():
            raise DataError("depth holds negative values; 0 is the one mark of invalid depth")
        if self.images is not None and len(self.images) != num_frames:
            raise DataError(f"{len(self.images)} image files for {num_frames} frames")
