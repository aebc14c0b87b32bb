"""Open country: a height field with hills on the horizon, trees, rocks, fences and huts."""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.mesh import Mesh, merge_meshes
from pipeline.synthetic.motions import standing
from pipeline.synthetic.noise import bumps
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.objects import Ground, World, block, bush, clear_of, grid_mesh, move_object, rock, roof, shift, tree

_SIDE = 72  # grid points along a side of the height field
_EXTENT_M = 120.0  # from the middle to the border
_BRANCHES_M = 1.7  # how far the lower branches of a tree reach


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Thing:
    """Something that stands on the ground within a radius around its place."""

    place: np.ndarray  # "2"
    radius: float
    objects: tuple[SceneObject, ...] = ()


def terrain(rng: np.random.Generator, book: MaterialBook) -> World:
    """Hilly ground around the origin."""
    ground = _hills(rng)
    focus = (float(rng.uniform(-1, 1)), float(rng.uniform(8, 11)))
    start = (float(rng.uniform(-1, 1)), 0.0)
    posts = _fence_posts(rng)
    things = [*_scattered(rng, book, ground, focus), *_huts(rng, book, ground), *(_Thing(place=place, radius=1.0) for place in posts)]
    field = book.thing("ground", _height_field(ground), book.pick("ground"), np.eye(4))
    return World(
        kind="terrain",
        objects=(field, *(item for thing in things for item in thing.objects), _fence(book, ground, posts)),
        ground=ground,
        is_free=clear_of(np.array([thing.place for thing in things]), np.array([thing.radius for thing in things])),
        start=start,
        focus=focus,
        has_sky=True,
    )


def _scattered(rng: np.random.Generator, book: MaterialBook, ground: Ground, focus: tuple[float, float]) -> list[_Thing]:
    """Trees, rocks and bushes, but not where things happen nor where the camera starts."""
    things = []
    for number in range(int(rng.integers(24, 44))):
        place, size, kind = _spot(rng), float(rng.uniform(0.25, 1.3)), float(rng.random())
        if min(np.linalg.norm(place - focus), np.linalg.norm(place)) < 4.0 + size:
            continue
        x, y, z = float(place[0]), float(place[1]), float(ground(place))
        if kind < 0.55:
            parts, radius = tree(rng, book, f"tree{number}", (x, y, z)), _BRANCHES_M
        elif kind < 0.85:
            parts, radius = [book.thing(f"rock{number}", rock(rng, size), book.pick("rock"), standing((x, y, z + 0.2 * size)))], 1.2 * size
        else:
            parts, radius = [bush(rng, book, f"bush{number}", (x, y, z + 0.2))], 0.9
        things.append(_Thing(place=place, radius=radius, objects=tuple(parts)))
    return things


def _huts(rng: np.random.Generator, book: MaterialBook, ground: Ground) -> list[_Thing]:
    things = []
    for number in range(int(rng.integers(0, 3))):
        place = np.array([rng.uniform(-16, 16), rng.uniform(20, 34)])
        hut = _hut(rng, book, f"hut{number}", (float(place[0]), float(place[1]), float(ground(place))))
        things.append(_Thing(place=place, radius=5.0, objects=tuple(hut)))
    return things


def _hills(rng: np.random.Generator) -> Ground:
    """Gentle near the middle, higher towards the horizon."""
    roughness, hills = float(rng.uniform(0.15, 0.5)), float(rng.uniform(2, 8))
    seeds = rng.integers(0, 2**32, 2)

    def ground(places: np.ndarray) -> np.ndarray:
        near = bumps(np.random.default_rng(seeds[0]), places * 0.35, count=8)
        wide = bumps(np.random.default_rng(seeds[1]), places * 0.06, count=8)
        away = np.linalg.norm(places - [0, 6], axis=-1)
        return np.asarray(roughness * near * np.clip(away / 12, 0.25, 1) + hills * wide * np.clip((away - 14) / 40, 0, 1.5))

    return ground


def _height_field(ground: Ground) -> Mesh:
    """Finer in the middle than at the border."""
    share = np.linspace(-1, 1, _SIDE)
    axis = _EXTENT_M * (0.12 * share + 0.88 * share**3 * np.abs(share))
    x, y = np.meshgrid(axis, 10 - axis)
    places = np.stack([x, y], axis=-1)
    return grid_mesh(np.concatenate([places, ground(places)[..., None]], axis=-1))


def _spot(rng: np.random.Generator) -> np.ndarray:
    """A place mostly ahead of the camera, denser near it."""
    distance, bearing = 3 + 45 * rng.random() ** 1.5, rng.normal(0, 0.8)
    return np.array([np.sin(bearing), np.cos(bearing)]) * distance


def _hut(rng: np.random.Generator, book: MaterialBook, name: str, place: tuple[float, float, float]) -> list[SceneObject]:
    width, depth, height = (float(rng.uniform(low, high)) for low, high in ((4, 7), (4, 6), (2.4, 3.4)))
    walls = shift(block((width, depth, height + 1.5)), (0, 0, height / 2 - 0.75))
    top = shift(roof(width + 0.8, depth + 0.8, 1.6), (0, 0, height))
    parts = [book.thing(name, walls, book.pick("facade"), np.eye(4)), book.thing(f"{name}-roof", top, book.pick("roof"), np.eye(4))]
    pose = standing(place, turn_deg=float(rng.uniform(0, 360)))
    return [move_object(part, pose) for part in parts]


def _fence_posts(rng: np.random.Generator) -> np.ndarray:
    """Places "N 2" in a row across the view, behind where things happen."""
    x = np.arange(-18, 18.1, 1.8)
    return np.stack([x, float(rng.uniform(17, 24)) + float(rng.uniform(-0.4, 0.4)) * x], axis=-1)


def _fence(book: MaterialBook, ground: Ground, posts: np.ndarray) -> SceneObject:
    """Posts, and two rails from each towards the next."""
    parts = []
    for place, towards in zip(posts, np.diff(posts, axis=0, append=posts[-1:] + [1.8, 0]), strict=True):
        x, y, z = float(place[0]), float(place[1]), float(ground(place))
        parts.append(shift(block((0.12, 0.12, 1.3)), (x, y, z + 0.5)))
        middle = (x + 0.5 * float(towards[0]), y + 0.5 * float(towards[1]))
        parts += [shift(block((1.7, 0.05, 0.12)), (*middle, z + level)) for level in (0.5, 0.9)]
    return book.thing("fence", merge_meshes(parts), book.pick("wood"), np.eye(4))
