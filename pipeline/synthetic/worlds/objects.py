"""Worlds and their building blocks: height fields, rocks, cones, roofs; trees and bushes; cars. Lengths are metres, z is up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.synthetic.mesh import Mesh, box, cylinder, deformed_normals, grid_faces, merge_meshes, rectangle, sphere
from pipeline.synthetic.motions import Point, standing, tilted
from pipeline.synthetic.noise import bumps
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook

Ground = Callable[[np.ndarray], np.ndarray]  # places "... 2" (x, y) -> heights "...", metres
Free = Callable[[np.ndarray], np.ndarray]  # places "... 2" -> bool "...": nothing stands within half a metre
_UNIT = box((1.0, 1.0, 1.0), step_m=2.0)  # one cell per side
_FIR = ((1.0, 0.42), (0.78, 0.62), (0.55, 0.82))  # (width, height of the middle) of the tiers, as shares of the whole
WHEEL_M = 0.32  # radius


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class World:
    """Metres, z up. Things happen around `focus`; cameras start around `start`, and look that way."""

    kind: Literal["room", "street", "terrain"]
    objects: tuple[SceneObject, ...]
    ground: Ground
    is_free: Free
    start: tuple[float, float]
    focus: tuple[float, float]
    has_sky: bool
    lamp: tuple[float, float, float] | None = None  # where the lamp of a room hangs


def level(height: float = 0.0) -> Ground:
    """A floor."""
    return lambda places: np.full(places.shape[:-1], height)


def clear_of(centres: np.ndarray, radii: np.ndarray) -> Free:
    """Free places: those half a metre away from all discs, `centres` "N 2" and `radii` "N"."""

    def is_free(places: np.ndarray) -> np.ndarray:
        away = np.linalg.norm(places[..., None, :] - centres, axis=-1)
        return np.asarray(np.all(away > radii + 0.5, axis=-1))

    return is_free


def block(size: tuple[float, float, float]) -> Mesh:
    """A box with nothing but its corners: as `box` for large cells, several times faster."""
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
    return merge_meshes([front, back, *(_gable(side * half[0], half[1], rise) for side in (-1, 1))])


def shift(mesh: Mesh, offset: tuple[float, float, float]) -> Mesh:
    """The mesh moved within its own frame."""
    return Mesh(vertices=mesh.vertices + np.array(offset), normals=mesh.normals, uv=mesh.uv, faces=mesh.faces)


def move_object(part: SceneObject, pose: np.ndarray) -> SceneObject:
    """A still object, moved with its parent by `pose` "4 4"."""
    return SceneObject(name=part.name, mesh=part.mesh, texture=part.texture, tile_m=part.tile_m, poses=pose @ part.poses)


def _gable(x: float, half_depth: float, rise: float) -> Mesh:
    corners = np.array([[x, -half_depth, 0], [x, half_depth, 0], [x, 0, rise]])
    return Mesh(
        vertices=corners,
        normals=np.tile([np.sign(x), 0.0, 0.0], (3, 1)),
        uv=corners[:, [1, 2]] * [1, -1],
        faces=np.array([[1, 0, 2]] if x > 0 else [[0, 1, 2]], np.int32),
    )


def tree(rng: np.random.Generator, book: MaterialBook, name: str, place: Point) -> list[SceneObject]:
    """A broad-leaved tree or a fir."""
    height, turn = float(rng.uniform(3.5, 6.5)), float(rng.uniform(0, 360))
    trunk = shift(cylinder(0.035 * height, 0.6 * height, segments=8, step_m=1.5), (0, 0, 0.3 * height - 0.2))
    if rng.random() < 0.5:
        crown = merge_meshes([shift(cone(0.26 * height * size, 0.42 * height, segments=10), (0, 0, z * height)) for size, z in _FIR])
    else:
        lobes = [rock(rng, 0.2 * height, segments=10, roughness=0.18) for _ in range(3)]
        at = [(0.1 * height * np.cos(2.1 * i), 0.1 * height * np.sin(2.1 * i), (0.62 + 0.1 * i) * height) for i in range(3)]
        crown = merge_meshes([shift(lobe, where) for lobe, where in zip(lobes, at, strict=True)])
    pose = standing(place, turn_deg=turn)
    return [book.thing(f"{name}-trunk", trunk, book.pick("trunk"), pose), book.thing(f"{name}-crown", crown, book.pick("foliage"), pose)]


def bush(rng: np.random.Generator, book: MaterialBook, name: str, place: Point) -> SceneObject:
    """A low round bush."""
    return book.thing(name, rock(rng, float(rng.uniform(0.35, 0.8)), segments=10), book.pick("foliage"), standing(place))


def car_body(length: float) -> Mesh:
    """Lower body and cabin, without wheels."""
    lower = shift(box((length, 1.65, 0.55), step_m=1), (0, 0, 0.6))
    cabin = box((0.52 * length, 1.5, 0.5), step_m=1)
    taper = np.where(cabin.vertices[:, 2:] > 0, np.array([0.74, 0.85, 1.0]), 1.0)
    sloped = Mesh(vertices=cabin.vertices * taper, normals=cabin.normals, uv=cabin.uv, faces=cabin.faces)
    return merge_meshes([lower, shift(sloped, (-0.06 * length, 0, 1.12))])


def wheel() -> Mesh:
    """A wheel that turns about y."""
    upright = cylinder(WHEEL_M, 0.2, segments=12)
    turn = tilted((0, 0, 0), axis_angles_deg=(90, 0, 0))[:3, :3]
    return Mesh(vertices=upright.vertices @ turn.T, normals=upright.normals @ turn.T, uv=upright.uv, faces=upright.faces)


def wheel_places(length: float) -> np.ndarray:
    """Middles of the four wheels in the car's frame, "4 3"."""
    return np.array([[x, y, WHEEL_M] for x in (-0.31 * length, 0.31 * length) for y in (-0.74, 0.74)])


def parked_car(rng: np.random.Generator, book: MaterialBook, name: str, pose: np.ndarray) -> list[SceneObject]:
    """A car that stands at `pose` "4 4"."""
    length = float(rng.uniform(3.6, 4.6))
    wheels = merge_meshes([shift(wheel(), (float(x), float(y), float(z))) for x, y, z in wheel_places(length)])
    parts = [
        book.thing(name, car_body(length), book.pick("metal", int(rng.integers(2))), np.eye(4)),
        book.thing(f"{name}-wheels", wheels, book.pick("rubber"), np.eye(4)),
    ]
    return [move_object(part, pose) for part in parts]
