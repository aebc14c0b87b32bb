"""Shapes beyond boxes and cylinders: height fields, rocks, cones, gabled roofs. Lengths are metres, z is up."""

import numpy as np

from pipeline.synthetic.mesh import Mesh, box, deformed_normals, grid_faces, merged, rectangle, sphere
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.smooth_noise import bumps

_UNIT = box((1.0, 1.0, 1.0), step_m=2.0)  # one cell per side


def block(size: tuple[float, float, float]) -> Mesh:
    """A box with nothing but its corners: what `box` gives for large cells, several times faster."""
    (x, y, z), unit = size, _UNIT
    across = np.array([[x, z], [y, z], [x, z], [y, z], [x, y], [x, y]])  # lengths along u and v of the sides in turn
    return Mesh(vertices=unit.vertices * np.array(size), normals=unit.normals, uv=unit.uv * np.repeat(across, 4, axis=0), faces=unit.faces)


def grid_mesh(points: np.ndarray) -> Mesh:
    """A smooth surface through a grid of points "R C 3", x rising along its rows and y falling from row to row; u is x, v is -y."""
    rows, columns = points.shape[:2]
    faces = grid_faces(columns - 1, rows - 1)
    vertices = points.reshape(-1, 3)
    flat = Mesh(vertices=vertices, normals=np.tile([0.0, 0, 1], (len(vertices), 1)), uv=vertices[:, :2] * [1, -1], faces=faces)
    return Mesh(vertices=vertices, normals=deformed_normals(flat, vertices), uv=flat.uv, faces=faces)


def rock(rng: np.random.Generator, radius: float, *, roughness: float = 0.25, segments: int = 14) -> Mesh:
    """A sphere with bumps, flattened."""
    ball = sphere(1.0, segments=segments)
    height = 1 + roughness * bumps(rng, 1.3 * ball.vertices, count=10)
    vertices = ball.vertices * height[:, None] * radius * np.array([1, rng.uniform(0.7, 1.2), rng.uniform(0.55, 0.9)])
    return Mesh(vertices=vertices, normals=deformed_normals(ball, vertices), uv=ball.uv * radius, faces=ball.faces)


def cone(radius: float, height: float, *, segments: int = 12) -> Mesh:
    """An upright cone about the origin, open below, in three bands; the mantle is smooth, its u runs around."""
    turns, drops = np.meshgrid(np.linspace(0, 1, segments + 1), np.linspace(0, 1, 4))
    angle, drop = 2 * np.pi * turns.ravel(), drops.ravel()
    outward = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    vertices = outward * radius * np.maximum(drop, 1e-3)[:, None] + np.array([0, 0, 1]) * (height * (0.5 - drop))[:, None]
    normals = outward * height + np.array([0, 0, 1]) * radius
    uv = np.stack([radius * angle, np.hypot(radius, height) * drop], axis=-1)
    unit_normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(vertices=vertices, normals=unit_normals, uv=uv, faces=grid_faces(segments, 3))


def roof(length: float, depth: float, rise: float) -> Mesh:
    """A gabled roof over `length` along x and `depth` along y, its eaves at z = 0, its ridge along x at the height `rise`."""
    half = np.array([length / 2, depth / 2])
    along = np.array([length, 0, 0])
    front = rectangle(np.array([-half[0], 0, rise]), along, np.array([0, -half[1], -rise]), step_m=2)
    back = rectangle(np.array([half[0], 0, rise]), -along, np.array([0, half[1], -rise]), step_m=2)
    return merged([front, back, *(_gable(side * half[0], half[1], rise) for side in (-1, 1))])


def shifted(mesh: Mesh, offset: tuple[float, float, float]) -> Mesh:
    """The mesh moved within its own frame."""
    return Mesh(vertices=mesh.vertices + np.array(offset), normals=mesh.normals, uv=mesh.uv, faces=mesh.faces)


def placed(part: SceneObject, pose: np.ndarray) -> SceneObject:
    """A thing that stands still, moved with what it belongs to by `pose` "4 4"."""
    return SceneObject(name=part.name, mesh=part.mesh, texture=part.texture, tile_m=part.tile_m, poses=pose @ part.poses)


def _gable(x: float, half_depth: float, rise: float) -> Mesh:
    corners = np.array([[x, -half_depth, 0], [x, half_depth, 0], [x, 0, rise]])
    return Mesh(
        vertices=corners,
        normals=np.tile([np.sign(x), 0.0, 0.0], (3, 1)),
        uv=corners[:, [1, 2]] * [1, -1],
        faces=np.array([[1, 0, 2]] if x > 0 else [[0, 1, 2]], np.int32),
    )
