"""A scene's objects as one set of triangles, placed in the world frame by frame."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.synthetic.raycast import Caster, JointCaster, RayCaster
from pipeline.synthetic.scene import Scene


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SurfaceArrangement:
    """All vertices in the world at one moment."""

    vertices: np.ndarray  # float64 "V 3"
    normals: np.ndarray  # float64 "V 3"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlacedGeometry(SurfaceArrangement):
    """All triangles in the world at one moment, and the caster of rays against them."""

    caster: Caster


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SurfacePoints:
    """N points fixed to a surface: they move with their triangle, however it moves."""

    face: np.ndarray  # int64 "N"
    weights: np.ndarray  # float64 "N 3", barycentric


class SceneGeometry:
    """Joins the meshes of a scene once; places them for any frame. Faces are numbered alike in all frames."""

    def __init__(self, scene: Scene) -> None:
        """Read the scene; it is not changed."""
        self._objects = scene.objects
        sizes = [len(item.mesh.vertices) for item in scene.objects]
        self._starts = np.cumsum([0, *sizes])
        meshes = [item.mesh for item in scene.objects]
        self.faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, self._starts[:-1], strict=True)])
        self.uv_tiles = np.concatenate([item.mesh.uv / item.tile_m for item in scene.objects])  # "V 2": 1 is one repeat of the texture
        names = list(scene.textures)
        self.face_texture = np.repeat([names.index(item.texture) for item in scene.objects], [len(mesh.faces) for mesh in meshes])
        self.face_tile_m = np.repeat([np.sqrt(np.prod(item.tile_m)) for item in scene.objects], [len(mesh.faces) for mesh in meshes])
        self.face_moves = np.repeat([item.is_moving for item in scene.objects], [len(mesh.faces) for mesh in meshes])
        self.vertex_moves = np.repeat([item.is_moving for item in scene.objects], sizes)
        self.face_object = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for mesh in meshes])
        self._rest = self._placed(0, moving=None)
        self.moving_faces = np.flatnonzero(self.face_moves)
        self.still_faces = np.flatnonzero(~self.face_moves)

    @cached_property
    def static_caster(self) -> RayCaster | None:
        """Caster of all still surfaces; None if there are none."""
        return RayCaster(self._rest[0], self.faces[self.still_faces], numbers=self.still_faces) if len(self.still_faces) else None

    def arrange(self, frame: int) -> SurfaceArrangement:
        """Positions and normals of all vertices in one frame."""
        vertices, normals = (array.copy() for array in self._rest)
        moving_vertices, moving_normals = self._placed(frame, moving=True)
        vertices[self.vertex_moves], normals[self.vertex_moves] = moving_vertices, moving_normals
        return SurfaceArrangement(vertices=vertices, normals=normals)

    def place(self, frame: int) -> PlacedGeometry:
        """The world in one frame, ready for rays."""
        arranged = self.arrange(frame)
        casters = [] if self.static_caster is None else [self.static_caster]
        if len(self.moving_faces):
            casters.append(RayCaster(arranged.vertices, self.faces[self.moving_faces], numbers=self.moving_faces))
        return PlacedGeometry(vertices=arranged.vertices, normals=arranged.normals, caster=JointCaster(casters))

    def anchor(self, placed: SurfaceArrangement, *, face: np.ndarray, points: np.ndarray) -> SurfacePoints:
        """Fix world points "N 3", which lie on triangles `face` "N", to these triangles."""
        corner, to_second, to_third = self.barycentric_frames(placed, face)
        offset = points - corner
        second, third = np.sum(offset * to_second, axis=-1), np.sum(offset * to_third, axis=-1)
        return SurfacePoints(face=face, weights=np.stack([1 - second - third, second, third], axis=-1))

    def locate(self, placed: SurfaceArrangement, points: SurfacePoints) -> np.ndarray:
        """World positions "N 3" of surface points in a placed frame."""
        return np.einsum("nk,nki->ni", points.weights, placed.vertices[self.faces[points.face]])

    def barycentric_frames(self, placed: SurfaceArrangement, face: np.ndarray) -> np.ndarray:
        """Per face a corner and the two vectors whose products with (point - corner) are the weights of corners 2 and 3, "3 N 3"."""
        corner, second, third = (placed.vertices[self.faces[face, i]] for i in range(3))
        a, b = second - corner, third - corner
        aa, ab, bb = (np.sum(left * right, axis=-1, keepdims=True) for left, right in ((a, a), (a, b), (b, b)))
        area = aa * bb - ab * ab
        return np.stack([corner, (bb * a - ab * b) / area, (aa * b - ab * a) / area])

    def _placed(self, frame: int, *, moving: bool | None) -> tuple[np.ndarray, np.ndarray]:
        vertices, normals = [np.zeros((0, 3))], [np.zeros((0, 3))]
        for item in self._objects:
            if moving is None or item.is_moving == moving:
                pose = item.pose_at(frame)
                vertices.append(item.shape_at(frame) @ pose[:3, :3].T + pose[:3, 3])
                normals.append(item.normals_at(frame) @ pose[:3, :3].T)
        return np.concatenate(vertices), np.concatenate(normals)
