"""Walking persons of rigid parts, and things that change their shape: meshes and their vertices over time, "T V 3"."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.synthetic.mesh import Mesh, cylinder, rectangle, sphere
from pipeline.synthetic.motions import GroundPath
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.objects import shift

Size = tuple[float, float, float]
_STEP = 0.43  # length of a step
_EVEN = 0.97  # close to 1: a leg that carries turns at an even rate, so that its foot stays where it is
_TRUNK, _TRUNK_AT = (0.075, 0.12, 0.19), (0.0, 0.0, 0.68)  # half axes, middle
_HEAD, _HEAD_AT = (0.062, 0.058, 0.078), (0.012, 0.0, 0.92)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Limb:
    """Two halves with a joint between. Lengths are shares of the body's height."""

    name: str
    joint: Size  # where it hangs from, in the body's frame: x forward, y to the left
    halves: tuple[float, float]
    thickness: float
    swing: float  # radians to and fro
    bend: float  # radians of the second half at most: positive bends it backwards
    phase: float


def _leg(name: str, side: float, phase: float) -> _Limb:
    return _Limb(name=name, joint=(0, side, 0.53), halves=(0.26, 0.26), thickness=0.055, swing=0.425, bend=0.7, phase=phase)


def _arm(name: str, side: float, phase: float) -> _Limb:
    return _Limb(name=name, joint=(0, side, 0.81), halves=(0.17, 0.16), thickness=0.036, swing=0.40, bend=-0.6, phase=phase)


_LIMBS = (
    _leg("leg-left", 0.055, 0.0),
    _leg("leg-right", -0.055, np.pi),
    _arm("arm-left", 0.135, np.pi),
    _arm("arm-right", -0.135, 0.0),
)


def walking_person(book: MaterialBook, name: str, path: GroundPath, *, height_m: float = 1.75) -> list[SceneObject]:
    """Trunk, head, two arms and two legs, which swing in the rhythm of the way that is gone."""
    step = np.pi * path.along_m / (_STEP * height_m)
    body = path.poses(lift_m=0.012 * height_m * np.cos(2 * step))
    clothes, trousers, skin = (book.pick("mover", variant) for variant in range(3))
    parts = [
        book.thing(f"{name}-trunk", _ellipsoid(_TRUNK, height_m), clothes, body @ _hinge(_TRUNK_AT, height_m, np.zeros(1))),
        book.thing(f"{name}-head", _ellipsoid(_HEAD, height_m), skin, body @ _hinge(_HEAD_AT, height_m, np.zeros(1))),
    ]
    for limb in _LIMBS:
        angle = limb.swing * np.arcsin(_EVEN * np.sin(step + limb.phase)) / np.arcsin(_EVEN)
        bend = limb.bend * (0.1 + 0.9 * np.maximum(np.cos(step + limb.phase), 0))  # while it swings forward
        upper = body @ _hinge(limb.joint, height_m, -angle)
        lower = upper @ _hinge((0, 0, -limb.halves[0]), height_m, bend)
        cloth = trousers if limb.name.startswith("leg") else clothes
        for half, poses, length in (("upper", upper, limb.halves[0]), ("lower", lower, limb.halves[1])):
            parts.append(book.thing(f"{name}-{limb.name}-{half}", _bone(length, limb.thickness, height_m), cloth, poses))
    return parts


def _hinge(place: Size, height_m: float, angles: np.ndarray) -> np.ndarray:
    """A joint at a place of the body, turned about the body's y by `angles` "T": a positive one swings backwards what hangs below."""
    poses = np.tile(np.eye(4), (len(angles), 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(angles[:, None] * [0, 1.0, 0]).as_matrix()
    poses[:, :3, 3] = np.array(place) * height_m
    return poses


def _bone(length: float, thickness: float, height_m: float) -> Mesh:
    """A rounded limb that hangs from the origin."""
    return shift(_ellipsoid((thickness, thickness, 0.56 * length), height_m), (0, 0, -0.5 * length * height_m))


def _ellipsoid(half_axes: Size, height_m: float) -> Mesh:
    ball, axes = sphere(1.0, segments=12), np.array(half_axes) * height_m
    normals = ball.normals / axes
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(vertices=ball.vertices * axes, normals=normals, uv=ball.uv * axes.mean(), faces=ball.faces)


def flag_mesh(width: float, height: float) -> Mesh:
    """A cloth in the plane of x and z, hung up along its edge at x = 0; its top is z = 0."""
    return rectangle(np.array([0.0, 0, 0]), np.array([width, 0, 0]), np.array([0, 0, -height]), step_m=width / 14)


def waving(mesh: Mesh, times_s: np.ndarray, *, amplitude_m: float, speed: float = 1.0) -> np.ndarray:
    """A flag in the wind: waves run along x, stronger away from the hoist. Its cloth is not stretched along x, to first order."""
    x, z = mesh.vertices[:, 0], mesh.vertices[:, 2]
    width = x.max()
    phase = 2 * np.pi * (1.2 * x / width - 1.1 * speed * times_s[:, None] + 0.15 * z / width)
    swell = (x / width) ** 0.8
    across = amplitude_m * swell * (np.sin(phase) + 0.35 * np.sin(2.3 * phase + 1))
    slope = amplitude_m * swell * 2 * np.pi * 1.2 / width * np.cos(phase)
    shorter = x / width * np.sqrt(1 / (1 + np.mean(slope**2, axis=1, keepdims=True)))  # what goes into the waves is missing along x
    sag = -0.12 * width * (x / width) ** 2 * np.ones_like(phase)
    return np.stack([width * shorter, across, z + sag], axis=-1)


def blob_mesh(radius: float) -> Mesh:
    """Mesh that `wobbling` deforms."""
    return sphere(radius, segments=18)


def wobbling(mesh: Mesh, times_s: np.ndarray, *, rng: np.random.Generator, strength: float = 0.2, rate_hz: float = 1.0) -> np.ndarray:
    """A soft ball: it is squeezed and stretched along its height at a constant volume, and bulges here and there."""
    directions = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    radius = np.linalg.norm(mesh.vertices, axis=1).max()
    squeeze = 1 + strength * np.sin(2 * np.pi * rate_hz * times_s)[:, None]
    axes, phases = rng.normal(size=(4, 3)), rng.uniform(0, 2 * np.pi, 4)
    swing = np.sin(2 * np.pi * rate_hz * times_s[:, None, None] * [1.0, 0.7, 1.3, 0.5] + phases + 2.0 * directions @ axes.T)
    bulge = radius * (1 + 0.35 * strength * swing.sum(axis=-1) / 2)
    stretched = directions * bulge[..., None]
    return stretched * np.stack([squeeze**-0.5, squeeze**-0.5, squeeze], axis=-1)


def worm_mesh(length: float, radius: float) -> Mesh:
    """Mesh that `crawling` bends: a rounded tube along x."""
    tube = cylinder(radius, length, segments=12, step_m=length / 24)
    lying = tube.vertices[:, [2, 1, 0]] * [1, -1, 1]  # the height becomes x; two axes change places, one sign keeps the handedness
    normals = tube.normals[:, [2, 1, 0]] * [1, -1, 1]
    return Mesh(vertices=lying, normals=normals, uv=tube.uv, faces=tube.faces)


def crawling(mesh: Mesh, along_m: np.ndarray, *, sway_m: float) -> np.ndarray:
    """A worm that follows its own track: a wave that stands still on the ground while the body moves along x by `along_m` "T"."""
    x, y, z = mesh.vertices.T
    half = np.abs(x).max()
    thick = np.sqrt(np.clip(1.02 - (x / half) ** 4, 0.0, 1))
    wave = 2 * np.pi * (x + along_m[:, None]) / (1.1 * half)
    middle = sway_m * np.sin(wave)
    slope = sway_m * 2 * np.pi / (1.1 * half) * np.cos(wave)
    length = np.sqrt(1 + slope**2)
    side = y * thick
    return np.stack([x - side * slope / length, middle + side / length, np.broadcast_to(z * thick, wave.shape)], axis=-1)
