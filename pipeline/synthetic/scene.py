"""A scene as data (textured objects with poses in time, light, a camera), its rendered clip, and true tracks. Nothing here renders."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.records.arrays import check_array, check_finite
from pipeline.synthetic.mesh import Mesh, deformed_normals


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SceneObject:
    """A textured thing, rigid or deforming. Its mesh is given in its own frame."""

    name: str
    mesh: Mesh
    texture: str  # a name among the scene's textures
    tile_m: tuple[float, float]  # metres of surface that one repeat of the texture covers along u and v
    poses: np.ndarray  # float64 "4 4" if it stands still, "T 4 4" if it moves: object to world
    shapes: np.ndarray | None = None  # float64 "T V 3": the mesh's vertices in each frame, if it deforms

    def __post_init__(self) -> None:
        if self.shapes is not None:
            check_array(f"object {self.name}: shapes", self.shapes, "float64", (None, len(self.mesh.vertices), 3))
        check_array(f"object {self.name}: poses", self.poses, "float64", (None, 4, 4)[-self.poses.ndim :])
        if min(self.tile_m) <= 0:
            raise ConfigError(f"object {self.name}: tile_m is {self.tile_m}, expected two positive lengths")

    @property
    def is_moving(self) -> bool:
        """Whether the object has a pose or a shape per frame."""
        return self.poses.ndim == 3 or self.shapes is not None

    def pose_at(self, frame: int) -> np.ndarray:
        """Object to world in one frame, "4 4"."""
        return self.poses[frame] if self.poses.ndim == 3 else self.poses

    def shape_at(self, frame: int) -> np.ndarray:
        """Vertices in the object's own frame, "V 3"."""
        return self.mesh.vertices if self.shapes is None else self.shapes[frame]

    def normals_at(self, frame: int) -> np.ndarray:
        """Unit normals in the object's own frame, "V 3"; those of the mesh, or of the deformed surface."""
        return self.mesh.normals if self.shapes is None else deformed_normals(self.mesh, self.shapes[frame])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Light:
    """A sun and a sky. Colours are linear RGB; 1 is about that of a white surface in full sun."""

    to_sun: tuple[float, float, float]  # direction, any length
    sun: tuple[float, float, float] = (1.30, 1.18, 0.98)
    zenith: tuple[float, float, float] = (0.13, 0.32, 0.75)
    horizon: tuple[float, float, float] = (0.62, 0.78, 0.98)
    bounce: tuple[float, float, float] = (0.30, 0.26, 0.21)  # from below, off the ground
    haze_m: float = 300.0  # distance over which the horizon's colour replaces 63 % of a surface's
    clouds: str | None = None  # a texture of cloud cover
    weathering: str | None = None  # a texture that darkens and lightens all surfaces over metres, so that no tile repeats visibly


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """A scene over T frames of `height` x `width` pixels, as needed to render it and to know its truth. World: metres, z up."""

    objects: tuple[SceneObject, ...]
    textures: Mapping[str, np.ndarray]  # uint8 "S S 3" each, one size S for all, repeating seamlessly
    light: Light
    camera_to_world: np.ndarray  # float64 "T 4 4", OpenCV axes
    intrinsics: np.ndarray  # float64 "3 3", pixels, integer = pixel centre
    height: int
    width: int
    fps: float

    def __post_init__(self) -> None:
        check_array("camera_to_world", self.camera_to_world, "float64", (None, 4, 4))
        check_array("intrinsics", self.intrinsics, "float64", (3, 3))
        if min(self.height, self.width) < 2 or self.num_frames < 1 or not self.fps > 0:
            raise ConfigError(f"{self.num_frames} frames of {self.width}x{self.height} at {self.fps} fps: expected positive numbers")
        if len({texture.shape for texture in self.textures.values()}) != 1:
            raise ConfigError("all textures of a scene must have one size")
        wanted = {item.texture for item in self.objects} | {self.light.clouds, self.light.weathering} - {None}
        if missing := sorted(map(str, wanted - set(self.textures))):
            raise ConfigError(f"textures {', '.join(missing)} are used but not among the scene's {len(self.textures)}")
        for item in self.objects:
            if item.poses.ndim == 3 and len(item.poses) != self.num_frames:
                raise ConfigError(f"object {item.name}: {len(item.poses)} poses for {self.num_frames} frames")
            if item.shapes is not None and len(item.shapes) != self.num_frames:
                raise ConfigError(f"object {item.name}: {len(item.shapes)} shapes for {self.num_frames} frames")

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.camera_to_world)


def pinhole(height: int, width: int, *, horizontal_fov_deg: float) -> np.ndarray:
    """Intrinsics "3 3" of a camera whose axis meets the middle of the image, at ((W-1)/2, (H-1)/2) when integers are pixel centres."""
    focal = width / 2 / np.tan(np.radians(horizontal_fov_deg) / 2)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


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
    """Positions of the surface points under N queries in each of T frames.

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
