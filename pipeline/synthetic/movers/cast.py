"""Kinds of movers by name, each made for a path over the ground."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.synthetic.mesh import Mesh, box, cylinder, sphere
from pipeline.synthetic.motions import GroundPath, standing
from pipeline.synthetic.movers.figures import blob_mesh, crawling, flag_mesh, walking_person, waving, wobbling, worm_mesh
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.objects import WHEEL_M, car_body, wheel, wheel_places


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """Arguments that a mover is made from."""

    name: str
    book: MaterialBook
    path: GroundPath
    rng: np.random.Generator

    @property
    def skin(self) -> str:
        """A material of its own among a few."""
        return self.book.pick("mover", int(self.rng.integers(4)))


def ball(part: Part) -> list[SceneObject]:
    """A ball that rolls without slipping, or hops."""
    radius, path = float(part.rng.uniform(0.2, 0.45)), part.path
    hop = float(part.rng.uniform(0.4, 1.2)) if part.rng.random() < 0.5 else 0.0
    flight = np.abs(np.sin(np.pi * (1.1 * path.times_s + part.rng.random())))
    poses = path.poses(lift_m=radius + hop * flight)
    poses[:, :3, :3] = poses[:, :3, :3] @ Rotation.from_rotvec((path.along_m / radius)[:, None] * [0, 1.0, 0]).as_matrix()
    return [part.book.thing(part.name, sphere(radius, segments=22), part.skin, poses)]


def crate(part: Part) -> list[SceneObject]:
    """A box that slides along and turns about its upright axis."""
    size = tuple(part.rng.uniform(0.35, 0.9, 3).tolist())
    poses = part.path.poses(lift_m=size[2] / 2 + 0.01)
    spin = float(part.rng.uniform(-1.2, 1.2)) * part.path.times_s
    poses[:, :3, :3] = poses[:, :3, :3] @ Rotation.from_rotvec(spin[:, None] * [0, 0, 1.0]).as_matrix()
    return [part.book.thing(part.name, box(size), part.skin, poses)]


def tumbler(part: Part) -> list[SceneObject]:
    """A box or a drum thrown along, turning about all axes."""
    size = tuple(part.rng.uniform(0.3, 0.7, 3).tolist())
    mesh = box(size) if part.rng.random() < 0.6 else cylinder(0.55 * size[0], size[2], segments=18)
    reach = 0.5 * float(np.linalg.norm(size)) + 0.05
    flight = np.abs(np.sin(np.pi * (0.7 * part.path.times_s + part.rng.random())))
    poses = part.path.poses(lift_m=reach + float(part.rng.uniform(0.5, 1.4)) * flight)
    axis = part.rng.normal(size=3)
    turn = float(part.rng.uniform(1.0, 3.0)) * part.path.times_s
    poses[:, :3, :3] = Rotation.from_rotvec(turn[:, None] * axis / np.linalg.norm(axis)).as_matrix()
    return [part.book.thing(part.name, mesh, part.skin, poses)]


def drone(part: Part) -> list[SceneObject]:
    """A balloon or a hovering box, swaying above the way."""
    sway = 0.25 * np.sin(2 * np.pi * 0.5 * part.path.times_s + part.rng.uniform(0, 6))
    poses = part.path.poses(lift_m=float(part.rng.uniform(1.2, 2.0)) + sway)
    poses[:, :3, :3] = poses[:, :3, :3] @ Rotation.from_rotvec(1.2 * sway[:, None] * [0.3, 1.0, 1.6]).as_matrix()
    mesh = sphere(float(part.rng.uniform(0.2, 0.35)), segments=18) if part.rng.random() < 0.5 else box((0.7, 0.45, 0.18))
    return [part.book.thing(part.name, mesh, part.skin, poses)]


def person(part: Part) -> list[SceneObject]:
    """Somebody walks."""
    return walking_person(part.book, part.name, part.path, height_m=float(part.rng.uniform(1.5, 1.9)))


def car(part: Part) -> list[SceneObject]:
    """A car drives; its wheels roll."""
    length, book = float(part.rng.uniform(3.6, 4.6)), part.book
    body = part.path.poses()
    roll = np.tile(np.eye(4), (len(body), 1, 1))
    roll[:, :3, :3] = Rotation.from_rotvec((part.path.along_m / WHEEL_M)[:, None] * [0, 1.0, 0]).as_matrix()
    parts = [book.thing(part.name, car_body(length), part.skin, body)]
    for number, place in enumerate(wheel_places(length)):
        parts.append(book.thing(f"{part.name}-wheel{number}", wheel(), book.pick("rubber"), body @ standing(tuple(place.tolist())) @ roll))
    return parts


def blob(part: Part) -> list[SceneObject]:
    """A soft ball that wobbles along."""
    radius = float(part.rng.uniform(0.3, 0.6))
    mesh = blob_mesh(radius)
    shapes = wobbling(mesh, part.path.times_s, rng=part.rng, strength=float(part.rng.uniform(0.15, 0.3)), rate_hz=0.9)
    lowest = shapes[..., 2].min(axis=1)
    return [_deforming(part, mesh, part.path.poses(lift_m=-lowest), shapes)]


def worm(part: Part) -> list[SceneObject]:
    """A thick worm that crawls in waves."""
    radius = float(part.rng.uniform(0.14, 0.24))
    mesh = worm_mesh(float(part.rng.uniform(1.6, 2.6)), radius)
    shapes = crawling(mesh, part.path.along_m, sway_m=float(part.rng.uniform(0.15, 0.3)))
    return [_deforming(part, mesh, part.path.poses(lift_m=radius), shapes)]


def flag(part: Part) -> list[SceneObject]:
    """A cloth that waves from a pole, which stands where the way is at half time."""
    width, height = float(part.rng.uniform(1.0, 1.7)), float(part.rng.uniform(0.7, 1.1))
    mesh = flag_mesh(width, height)
    shapes = waving(mesh, part.path.times_s, amplitude_m=float(part.rng.uniform(0.1, 0.22)), speed=float(part.rng.uniform(0.6, 1.2)))
    x, y, z = part.path.places[len(part.path.places) // 2].tolist()
    turn, top = float(np.degrees(part.path.headings[0])), float(part.rng.uniform(1.7, 2.3))
    pole = part.book.thing(f"{part.name}-pole", cylinder(0.025, top, segments=8), part.book.pick("metal"), standing((x, y, z + top / 2)))
    return [pole, _deforming(part, mesh, standing((x, y, z + top), turn_deg=turn), shapes)]


def _deforming(part: Part, mesh: Mesh, poses: np.ndarray, shapes: np.ndarray) -> SceneObject:
    skin = part.skin
    tile = part.book.tile_m(skin)
    return SceneObject(name=part.name, mesh=mesh, texture=skin, tile_m=(tile, tile), poses=poses, shapes=shapes)


@dataclass(frozen=True, kw_only=True, slots=True)
class MoverKind:
    """One kind of mover: its factory, its speeds, and the room that it needs around its middle."""

    make: Callable[[Part], Sequence[SceneObject]]
    speed_m_s: tuple[float, float]
    size_m: float
    is_deforming: bool = False
    worlds: tuple[str, ...] = ("room", "street", "terrain")


MOVER_KINDS: dict[str, MoverKind] = {
    "ball": MoverKind(make=ball, speed_m_s=(0.5, 2.0), size_m=0.4),
    "crate": MoverKind(make=crate, speed_m_s=(0.2, 1.0), size_m=0.6),
    "tumbler": MoverKind(make=tumbler, speed_m_s=(0.5, 1.8), size_m=0.6),
    "drone": MoverKind(make=drone, speed_m_s=(0.3, 1.2), size_m=0.5),
    "person": MoverKind(make=person, speed_m_s=(0.8, 1.5), size_m=0.5),
    "car": MoverKind(make=car, speed_m_s=(2.0, 6.0), size_m=2.2, worlds=("street",)),
    "blob": MoverKind(make=blob, speed_m_s=(0.2, 1.0), size_m=0.6, is_deforming=True),
    "worm": MoverKind(make=worm, speed_m_s=(0.4, 1.1), size_m=1.0, is_deforming=True),
    "flag": MoverKind(make=flag, speed_m_s=(0.0, 0.0), size_m=1.2, is_deforming=True),
}
