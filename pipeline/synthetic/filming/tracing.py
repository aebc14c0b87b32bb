"""Fast ray queries to Embree: float32 throughout, still surfaces built once per clip, moving ones anew per frame."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, install_command
from pipeline.synthetic.geometry import PlacedGeometry, SceneGeometry, SurfaceArrangement
from pipeline.synthetic.raycast import Hits
from pipeline.synthetic.scene import Scene

_FAR = np.float32(1e30)  # lengths of a ray's direction; what Embree takes for no limit


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SurfaceHits:
    """First surface on each of R rays, and where on its triangle."""

    face: np.ndarray  # int64 "R", -1 where the ray meets nothing
    second: np.ndarray  # float32 "R": barycentric weight of corner 2
    third: np.ndarray  # float32 "R": of corner 3
    distance: np.ndarray  # float32 "R", in lengths of the ray's direction


class _Corners:
    """Some of a scene's faces over only those vertices that they use: Embree's binding takes a microsecond for each vertex."""

    def __init__(self, faces: np.ndarray, numbers: np.ndarray) -> None:
        self.numbers = numbers
        self.used, inverse = np.unique(faces[numbers], return_inverse=True)
        self.faces = inverse.reshape(-1, 3).astype(np.int32)


class _Part:
    """One Embree scene; its faces go by their numbers in the whole."""

    def __init__(self, vertices: np.ndarray, corners: _Corners) -> None:
        self.numbers = corners.numbers
        self.scene = _embree_scene(vertices[corners.used], corners.faces)

    def nearest(self, origins: np.ndarray, directions: np.ndarray, limit: np.ndarray) -> dict[str, np.ndarray]:
        """Embree's own answer for rays that end at `limit`."""
        found: dict[str, np.ndarray] = self.scene.run(origins, directions, dists=limit, output=1)
        return found

    def is_blocked(self, origins: np.ndarray, directions: np.ndarray, limit: np.ndarray) -> np.ndarray:
        return np.asarray(self.scene.run(origins, directions, dists=limit, query="OCCLUDED")) >= 0


class FrameCaster:
    """Answers ray questions about one frame. Both sides of a triangle stop a ray."""

    def __init__(self, parts: tuple[_Part, ...], planes: np.ndarray) -> None:
        self._parts = parts
        self._planes = planes

    def surface_hits(self, origins: np.ndarray, directions: np.ndarray) -> SurfaceHits:
        """Nearest surfaces, in float32. Arguments as for `first_hits`."""
        origins, directions = _rays(origins, directions)
        face = np.full(len(directions), -1, np.int64)
        second, third = np.zeros((2, len(directions)), np.float32)
        distance = np.full(len(directions), _FAR)
        for part in self._parts:
            found = part.nearest(origins, directions, distance)
            nearer = found["primID"] >= 0
            face[nearer] = part.numbers[found["primID"][nearer]]
            for known, name in ((second, "u"), (third, "v"), (distance, "tfar")):
                known[nearer] = found[name][nearer]
        return SurfaceHits(face=face, second=second, third=third, distance=np.where(face >= 0, distance, np.float32(np.inf)))

    def first_hits(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """First hit of each ray on a surface; the distance is that of the triangle's plane, in the rays' own precision.

        Args:
            origins: "R 3" or "3", metres.
            directions: "R 3", of any length; float32 or float64.
        """
        hits = self.surface_hits(origins, directions)
        if directions.dtype == np.float32:
            return Hits(face=hits.face, distance=hits.distance)
        return Hits(face=hits.face, distance=self.plane_distance(hits.face, origins, directions))

    def plane_distance(self, face: np.ndarray, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Along rays "R 3" to the planes of triangles `face` "R" (-1: inf), in float64."""
        plane = self._planes[face]  # row -1 for a miss, overwritten below
        along = np.einsum("ri,ri->r", plane[:, :3], directions)
        height = plane[:, 3] - np.einsum("ri,ri->r", plane[:, :3], np.broadcast_to(origins, directions.shape))
        return np.divide(height, along, out=np.full(len(face), np.inf), where=(along != 0) & (face >= 0))

    def is_blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Whether anything lies on each ray, however far, bool "R"."""
        origins, directions = _rays(origins, directions)
        return self.is_blocked_before(origins, directions, np.full(len(directions), _FAR))

    def is_blocked_before(self, origins: np.ndarray, directions: np.ndarray, limit: np.ndarray) -> np.ndarray:
        """Whether anything lies on each ray before `limit` "R" lengths of its direction, bool "R"."""
        origins, directions = _rays(origins, directions)
        blocked = np.zeros(len(directions), bool)
        for part in self._parts:
            blocked |= part.is_blocked(origins, directions, limit.astype(np.float32))
        return blocked


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlacedFrame(PlacedGeometry):
    """The world in one frame, with its fast caster."""

    caster: FrameCaster


class Tracer:
    """Places a scene frame by frame, with fast casters."""

    def __init__(self, scene: Scene) -> None:
        """Build the still surfaces. Raises: ConfigError if the `synthetic` extra is not installed."""
        self.geometry = SceneGeometry(scene)
        still, moving = (_Corners(self.geometry.faces, numbers) for numbers in (self.geometry.still_faces, self.geometry.moving_faces))
        rest = self.geometry.arrange(0).vertices
        self._still = (_Part(rest, still),) if len(still.numbers) else ()
        self._moving = moving
        self._planes = _planes(rest[self.geometry.faces])

    def place(self, frame: int) -> PlacedFrame:
        """The world in one frame."""
        arranged = self.geometry.arrange(frame)
        return PlacedFrame(vertices=arranged.vertices, normals=arranged.normals, caster=self.caster(arranged))

    def caster(self, arranged: SurfaceArrangement) -> FrameCaster:
        """Caster of rays against vertices arranged so."""
        if not len(self._moving.numbers):
            return self.still_caster()
        planes = self._planes.copy()
        planes[self._moving.numbers] = _planes(arranged.vertices[self.geometry.faces[self._moving.numbers]])
        return FrameCaster((*self._still, _Part(arranged.vertices, self._moving)), planes)

    def still_caster(self) -> FrameCaster:
        """Caster of the still surfaces alone."""
        return FrameCaster(self._still, self._planes)


def _planes(corners: np.ndarray) -> np.ndarray:
    """Normal (of any length) and offset along it of triangles "F 3 3", float64 "F 4"."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.concatenate([normal, np.einsum("fi,fi->f", normal, corners[:, 0])[:, None]], axis=1)


def _rays(origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    directions = np.ascontiguousarray(directions, np.float32)
    return np.ascontiguousarray(np.broadcast_to(np.asarray(origins, np.float32), directions.shape)), directions


def _embree_scene(vertices: np.ndarray, faces: np.ndarray) -> Any:
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise ConfigError(f"synthetic scenes need embreex ({error}); run: {install_command('synthetic')}") from error
    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32))
    return scene
