"""What the renderer gives: a clip with its exact geometry, and true tracks."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.records.arrays import check_array, check_finite


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneTruth:
    """Geometry of T frames of H x W pixels. Cameras are OpenCV's (x right, y down, z forward), the world's unit is the metre.

    Pixels are (x, y), integer = pixel centre; every value per pixel is that of the ray through the pixel's centre.
    """

    depth: np.ndarray  # float32 "T H W", metres along z, 0 = sky
    camera_to_world: np.ndarray  # float64 "T 4 4"
    intrinsics: np.ndarray  # float64 "T 3 3", pixels
    dynamic_mask: np.ndarray  # bool "T H W": the surface moves in the world
    fps: float

    def __post_init__(self) -> None:
        check_array("depth", self.depth, "float32", (None, None, None))
        check_array("dynamic_mask", self.dynamic_mask, "bool", self.depth.shape)
        check_array("camera_to_world", self.camera_to_world, "float64", (len(self.depth), 4, 4))
        check_array("intrinsics", self.intrinsics, "float64", (len(self.depth), 3, 3))
        if not self.fps > 0:
            raise DataError(f"fps is {self.fps}, expected a positive rate")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneClip(SceneTruth):
    """Rendered frames together with their truth."""

    frames: np.ndarray  # uint8 "T H W 3", RGB

    def __post_init__(self) -> None:
        SceneTruth.__post_init__(self)
        check_array("frames", self.frames, "uint8", (*self.depth.shape, 3))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrueTracks:
    """Where the surface points under N queries are in each of T frames.

    A query that hits the sky follows nothing: it is not `valid`, its track stays where it was asked for, never visible.
    """

    tracks_px: np.ndarray  # float32 "T N 2" (x, y); defined for hidden points too
    visibility: np.ndarray  # bool "T N": inside the image, in front of the camera, nothing nearer on its ray
    tracks3d: np.ndarray  # float32 "T N 3", metres, camera of each frame; 0 where not valid
    valid: np.ndarray  # bool "N"

    def __post_init__(self) -> None:
        size = self.tracks_px.shape[:2]
        check_array("tracks_px", self.tracks_px, "float32", (*size, 2))
        check_array("visibility", self.visibility, "bool", size)
        check_array("tracks3d", self.tracks3d, "float32", (*size, 3))
        check_array("valid", self.valid, "bool", size[1:])
        check_finite("tracks_px", self.tracks_px)
        check_finite("tracks3d", self.tracks3d)
