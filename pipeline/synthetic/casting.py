"""Who moves in a clip, and where: each mover crosses the view at some moment, and runs into nothing."""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.domains import Domain
from pipeline.synthetic.movers.cast import MOVER_KINDS, MoverKind, Part
from pipeline.synthetic.movers.paths import Course, GroundPath
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.world import World

_TRIES = 60  # per mover; one for which no way is found does not appear
_KEEP_AWAY_M = 1.0  # from the camera, besides its own size
_FARTHEST_M = {"room": 6.0, "street": 13.0, "terrain": 11.0}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CameraMotion:
    """Where the camera is in each frame, and how wide it sees."""

    poses: np.ndarray  # float64 "T 4 4"
    times_s: np.ndarray  # float64 "T"
    fov_deg: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cast:
    """Everything that moves, and what belongs to it."""

    objects: tuple[SceneObject, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Taken:
    """Where somebody else is."""

    places: np.ndarray  # "T 2"
    size_m: float


def place_movers(domain: Domain, world: World, *, book: MaterialBook, camera: CameraMotion, rng: np.random.Generator) -> Cast:
    """Draw movers and their ways."""
    weights = {name: weight for name, weight in domain.movers.items() if world.kind in MOVER_KINDS[name].worlds}
    share = np.array(list(weights.values())) / sum(weights.values())
    wanted = rng.choice(list(weights), size=int(rng.integers(domain.num_movers[0], domain.num_movers[1] + 1)), p=share).tolist()
    taken = [_Taken(places=camera.poses[:, :2, 3], size_m=_KEEP_AWAY_M)]
    objects: list[SceneObject] = []
    kinds = []
    for number, name in enumerate(wanted):
        kind, own_rng = MOVER_KINDS[name], np.random.default_rng(rng.integers(2**63))
        path = _way(kind, world, camera, taken, own_rng)
        if path is not None:
            objects += kind.make(Part(name=f"{name}{number}", book=book, path=path, rng=own_rng))
            taken.append(_Taken(places=path.places[:, :2], size_m=kind.size_m))
            kinds.append(name)
    return Cast(objects=tuple(objects), kinds=tuple(kinds))


def _way(kind: MoverKind, world: World, camera: CameraMotion, taken: list[_Taken], rng: np.random.Generator) -> GroundPath | None:
    """A way through the view that is free at all times, if one of many draws is."""
    for _ in range(_TRIES):
        course = _course(kind, world, camera, rng)
        places = course.places_at(camera.times_s)
        apart = (np.linalg.norm(places - other.places, axis=1).min() > kind.size_m + other.size_m for other in taken)
        if world.is_free(places).all() and all(apart):
            return GroundPath(
                times_s=camera.times_s,
                places=np.column_stack([places, world.ground(places)]),
                headings=course.headings_at(camera.times_s),
                along_m=course.speed_m_s * (camera.times_s - course.at_s),
            )
    return None


def _course(kind: MoverKind, world: World, camera: CameraMotion, rng: np.random.Generator) -> Course:
    """Through a place that the camera sees at some moment; cars keep to the direction of the street."""
    moment = int(rng.integers(len(camera.times_s)))
    pose = camera.poses[moment]
    bearing = np.arctan2(pose[1, 2], pose[0, 2]) + np.radians(camera.fov_deg) * float(rng.uniform(-0.38, 0.38))
    distance = 1.3 + kind.size_m + (_FARTHEST_M[world.kind] - 1.3) * float(rng.random()) ** 1.3
    x, y = (pose[:2, 3] + distance * np.array([np.cos(bearing), np.sin(bearing)])).tolist()
    keeps_lane = kind.worlds == ("street",)
    heading = float(rng.choice([-1, 1])) * np.pi / 2 if keeps_lane else float(rng.uniform(-np.pi, np.pi))
    return Course(
        through=(x, y),
        at_s=float(camera.times_s[moment]),
        heading=heading,
        speed_m_s=float(rng.uniform(*kind.speed_m_s)),
        turn_rad_s=0.0 if keeps_lane else float(rng.normal(0, 0.4)),
    )
