"""Random draws within the ranges of a domain: the movers and their paths, the light, the camera and its settings."""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.domains import Domain, Range, Recording
from pipeline.synthetic.filming.cameras import Operator
from pipeline.synthetic.filming.imaging import Imaging
from pipeline.synthetic.lighting import Illumination
from pipeline.synthetic.motions import Course, GroundPath
from pipeline.synthetic.movers.cast import MOVER_KINDS, MoverKind, Part
from pipeline.synthetic.noise import drift
from pipeline.synthetic.scene import Light, SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.objects import World

_TRIES = 60  # per mover; one for which no way is found does not appear
_KEEP_AWAY_M = 1.0  # from the camera, besides its own size
_FARTHEST_M = {"room": 6.0, "street": 13.0, "terrain": 11.0}


def draw_number(rng: np.random.Generator, span: Range) -> float:
    """A number between the span's ends."""
    return float(rng.uniform(*span))


def draw_operator(recording: Recording, rng: np.random.Generator) -> Operator:
    """Operator of the camera: shake and speed."""
    return Operator(
        shake_deg=draw_number(rng, recording.shake_deg),
        shake_m=draw_number(rng, recording.shake_m),
        speed=draw_number(rng, recording.speed),
    )


def draw_illumination(domain: Domain, light: Light, *, world: World, times_s: np.ndarray, rng: np.random.Generator) -> Illumination:
    """Changes of light by passing clouds or a flickering lamp; light from all around follows by a third."""
    change = draw_number(rng, domain.key_drift) * drift(rng, times_s, period_s=float(rng.uniform(0.8, 3)))
    return Illumination(
        light=light,
        key_gain=np.clip(1 + change, 0.4, 1.7).astype(np.float32),
        ambient_gain=np.clip(1 + change / 3, 0.7, 1.3).astype(np.float32),
        lamp=world.lamp,
    )


def draw_imaging(recording: Recording, times_s: np.ndarray, *, rng: np.random.Generator) -> Imaging:
    """A camera and its settings."""
    stops = draw_number(rng, recording.exposure_drift) * drift(rng, times_s, period_s=2.0)
    tint = draw_number(rng, recording.tint) * rng.normal(size=3)
    is_compressed = recording.jpeg_quality is not None and rng.random() < recording.compressed_share
    return Imaging(
        gain=(draw_number(rng, recording.exposure) * 2.0 ** (stops[:, None] + tint)).astype(np.float32),
        shutter=draw_number(rng, recording.shutter),
        lens_blur_px=draw_number(rng, recording.lens_blur_px),
        vignette=draw_number(rng, recording.vignette),
        shot_noise=draw_number(rng, recording.shot_noise),
        read_noise=draw_number(rng, recording.read_noise),
        saturation=draw_number(rng, recording.saturation),
        contrast=draw_number(rng, recording.contrast),
        jpeg_quality=round(draw_number(rng, recording.jpeg_quality)) if recording.jpeg_quality is not None and is_compressed else None,
        detail=draw_number(rng, recording.detail),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CameraView:
    """Camera poses and view of a clip."""

    poses: np.ndarray  # float64 "T 4 4"
    times_s: np.ndarray  # float64 "T"
    fov_deg: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Movers:
    """Moving objects and the kinds of movers that they belong to."""

    objects: tuple[SceneObject, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Occupied:
    """Courses of movers that are placed already."""

    places: np.ndarray  # "T 2"
    size_m: float


def place_movers(domain: Domain, world: World, *, book: MaterialBook, view: CameraView, rng: np.random.Generator) -> Movers:
    """Draw movers and their ways."""
    weights = {name: weight for name, weight in domain.movers.items() if world.kind in MOVER_KINDS[name].worlds}
    share = np.array(list(weights.values())) / sum(weights.values())
    wanted = rng.choice(list(weights), size=int(rng.integers(domain.num_movers[0], domain.num_movers[1] + 1)), p=share).tolist()
    taken = [_Occupied(places=view.poses[:, :2, 3], size_m=_KEEP_AWAY_M)]
    objects: list[SceneObject] = []
    kinds = []
    for number, name in enumerate(wanted):
        kind, own_rng = MOVER_KINDS[name], np.random.default_rng(rng.integers(2**63))
        path = _way(kind, world, view, taken, own_rng)
        if path is not None:
            objects += kind.make(Part(name=f"{name}{number}", book=book, path=path, rng=own_rng))
            taken.append(_Occupied(places=path.places[:, :2], size_m=kind.size_m))
            kinds.append(name)
    return Movers(objects=tuple(objects), kinds=tuple(kinds))


def _way(kind: MoverKind, world: World, view: CameraView, taken: list[_Occupied], rng: np.random.Generator) -> GroundPath | None:
    """A way through the view that is free at all times, if one of many draws is."""
    for _ in range(_TRIES):
        course = _course(kind, world, view, rng)
        places = course.places_at(view.times_s)
        apart = (np.linalg.norm(places - other.places, axis=1).min() > kind.size_m + other.size_m for other in taken)
        if world.is_free(places).all() and all(apart):
            return GroundPath(
                times_s=view.times_s,
                places=np.column_stack([places, world.ground(places)]),
                headings=course.headings_at(view.times_s),
                along_m=course.speed_m_s * (view.times_s - course.at_s),
            )
    return None


def _course(kind: MoverKind, world: World, view: CameraView, rng: np.random.Generator) -> Course:
    """Through a place that the camera sees at some moment; cars keep to the direction of the street."""
    moment = int(rng.integers(len(view.times_s)))
    pose = view.poses[moment]
    bearing = np.arctan2(pose[1, 2], pose[0, 2]) + np.radians(view.fov_deg) * float(rng.uniform(-0.38, 0.38))
    distance = 1.3 + kind.size_m + (_FARTHEST_M[world.kind] - 1.3) * float(rng.random()) ** 1.3
    x, y = (pose[:2, 3] + distance * np.array([np.cos(bearing), np.sin(bearing)])).tolist()
    keeps_lane = kind.worlds == ("street",)
    heading = float(rng.choice([-1, 1])) * np.pi / 2 if keeps_lane else float(rng.uniform(-np.pi, np.pi))
    return Course(
        through=(x, y),
        at_s=float(view.times_s[moment]),
        heading=heading,
        speed_m_s=float(rng.uniform(*kind.speed_m_s)),
        turn_rad_s=0.0 if keeps_lane else float(rng.normal(0, 0.4)),
    )
