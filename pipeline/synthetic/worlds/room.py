"""A furnished room: things stand along the walls, the middle is free."""

from collections.abc import Callable

import numpy as np

from pipeline.synthetic.mesh import cylinder, merge_meshes, rectangle, sphere
from pipeline.synthetic.motions import standing
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.objects import World, block, level, move_object, shift

_WALL_BAND_M = 1.0  # furniture keeps within this of the walls


def room(rng: np.random.Generator, book: MaterialBook) -> World:
    """A room about the origin."""
    width, depth, height = (float(rng.uniform(low, high)) for low, high in ((6.5, 9.5), (6.5, 9.5), (2.7, 3.4)))
    half = np.array([width, depth]) / 2
    objects = [*_shell(book, (width, depth, height)), *_along_walls(rng, book, half), *_pictures(rng, book, half)]
    if rng.random() < 0.7:
        rug = block((float(rng.uniform(1.6, 2.6)), float(rng.uniform(1.2, 2.0)), 0.02))
        turned = standing((float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.5, 0.5)), 0.01), turn_deg=float(rng.uniform(0, 90)))
        objects.append(book.thing("rug", rug, book.pick("cloth", 1), turned))
    hanging = (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)), height - 0.45)
    metal = book.pick("metal")
    objects.append(book.thing("cord", cylinder(0.015, 0.4, segments=6), metal, standing((hanging[0], hanging[1], height - 0.2))))
    free = half - _WALL_BAND_M - 0.15
    angle = float(rng.uniform(0, 2 * np.pi))
    start = (float(np.cos(angle) * free[0] * 0.95), float(np.sin(angle) * free[1] * 0.95))
    return World(
        kind="room",
        objects=tuple(objects),
        ground=level(),
        is_free=lambda places: np.all(np.abs(places) < free, axis=-1),
        start=start,
        focus=(-0.25 * start[0], -0.25 * start[1]),
        has_sky=False,
        lamp=hanging,
    )


def _shell(book: MaterialBook, size: tuple[float, float, float]) -> list[SceneObject]:
    """Floor, ceiling and four walls, seen from inside, and skirting boards."""
    width, depth, height = size
    x, y, z = np.diag(np.array(size))
    corner = np.array([-width / 2, -depth / 2, 0])
    walls = (
        ("wall-0", corner + y + z, x, book.pick("wall")),
        ("wall-1", corner + x + z, -x, book.pick("wall")),
        ("wall-2", corner + z, y, book.pick("wall", 1)),
        ("wall-3", corner + x + y + z, -y, book.pick("wall", 1)),
    )
    parts = [book.thing(name, rectangle(start, along, -z), material, np.eye(4)) for name, start, along, material in walls]
    parts.append(book.thing("floor", rectangle(corner + y, x, -y), book.pick("floor"), np.eye(4)))
    parts.append(book.thing("ceiling", rectangle(corner + z, x, y, step_m=1), book.pick("ceiling"), np.eye(4)))
    for name, length, place, turn in (
        ("skirting-0", width, (0, depth / 2 - 0.012, 0.06), 0.0),
        ("skirting-1", width, (0, 0.012 - depth / 2, 0.06), 0.0),
        ("skirting-2", depth, (width / 2 - 0.012, 0, 0.06), 90.0),
        ("skirting-3", depth, (0.012 - width / 2, 0, 0.06), 90.0),
    ):
        parts.append(book.thing(name, block((length, 0.03, 0.12)), book.pick("wood"), standing(place, turn_deg=turn)))
    return parts


def _along_walls(rng: np.random.Generator, book: MaterialBook, half: np.ndarray) -> list[SceneObject]:
    """Furniture side by side along the four walls, its back to the wall."""
    makers: tuple[Callable[..., list[SceneObject]], ...] = (_table, _shelf, _sofa, _boxes, _plant, _cupboard)
    parts: list[SceneObject] = []
    for side in range(4):
        along, back = (half[0], half[1]) if side % 2 == 0 else (half[1], half[0])
        place = -along + 1.2
        while place < along - 1.0:
            make = makers[int(rng.integers(len(makers)))]
            turn = 90.0 * side
            pose = standing((0, 0, 0), turn_deg=turn) @ standing((place, back - _WALL_BAND_M / 2, 0))
            parts += [move_object(part, pose) for part in make(rng, book, f"side{side}-{len(parts)}")]
            place += float(rng.uniform(1.6, 2.4))
    return parts


def _pictures(rng: np.random.Generator, book: MaterialBook, half: np.ndarray) -> list[SceneObject]:
    parts = []
    for side in range(4):
        along, back = (half[0], half[1]) if side % 2 == 0 else (half[1], half[0])
        for number in range(int(rng.integers(1, 4))):
            size = (float(rng.uniform(0.5, 1.2)), 0.03, float(rng.uniform(0.4, 0.8)))
            place = (float(-along + 1 + (2 * along - 2) * (number + 0.5) / 3), back - 0.03, float(rng.uniform(1.6, 1.9)))
            pose = standing((0, 0, 0), turn_deg=90.0 * side) @ standing(place)
            name = book.pick("print", int(rng.integers(2)))
            parts.append(SceneObject(name=f"picture{side}{number}", mesh=block(size), texture=name, tile_m=(size[0], size[2]), poses=pose))
    return parts


def _table(rng: np.random.Generator, book: MaterialBook, name: str) -> list[SceneObject]:
    top, wood = float(rng.uniform(0.7, 0.8)), book.pick("wood", 1)
    legs = [shift(block((0.06, 0.06, top)), (x, y, top / 2)) for x in (-0.55, 0.55) for y in (-0.3, 0.3)]
    parts = [
        book.thing(f"{name}-top", block((1.3, 0.75, 0.05)), wood, standing((0, 0, top))),
        book.thing(f"{name}-legs", merge_meshes(legs), wood, np.eye(4)),
        book.thing(f"{name}-vase", cylinder(0.09, 0.28, segments=14), book.pick("print", 1), standing((0.3, 0.05, top + 0.165))),
    ]
    return [*parts, book.thing(f"{name}-bowl", sphere(0.13, segments=12), book.pick("metal"), standing((-0.3, 0, top + 0.12)))]


def _shelf(rng: np.random.Generator, book: MaterialBook, name: str) -> list[SceneObject]:
    boards = [shift(block((1.2, 0.36, 0.03)), (0, 0.3, 0.1 + 0.42 * i)) for i in range(5)]
    sides = [shift(block((0.03, 0.36, 1.85)), (x, 0.3, 0.925)) for x in (-0.6, 0.6)]
    parts = [book.thing(name, merge_meshes(boards + sides), book.pick("wood"), np.eye(4))]
    for row in range(4):
        width, tall = float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.18, 0.34))
        place = standing((float(rng.uniform(-0.1, 0.1)), 0.3, 0.13 + 0.42 * row + tall / 2))
        parts.append(book.thing(f"{name}-books{row}", block((width, 0.22, tall)), book.pick("cloth", row % 2), place))
    return parts


def _sofa(rng: np.random.Generator, book: MaterialBook, name: str) -> list[SceneObject]:
    width, cloth = float(rng.uniform(1.3, 1.7)), book.pick("cloth")
    blocks = [
        shift(block((width, 0.8, 0.42)), (0, 0.05, 0.21)),
        shift(block((width, 0.22, 0.45)), (0, 0.34, 0.62)),
        *(shift(block((0.2, 0.8, 0.6)), (side * width / 2, 0.05, 0.3)) for side in (-1, 1)),
    ]
    return [book.thing(name, merge_meshes(blocks), cloth, np.eye(4))]


def _boxes(rng: np.random.Generator, book: MaterialBook, name: str) -> list[SceneObject]:
    parts, height = [], 0.0
    for number, material in enumerate((book.pick("wood", 1), book.pick("print"), book.pick("cloth", 1))):
        side = float(rng.uniform(0.3, 0.65))
        pose = standing((float(rng.uniform(-0.06, 0.06)), 0, height + side / 2), turn_deg=float(rng.uniform(-20, 20)))
        parts.append(book.thing(f"{name}-{number}", block((side, side, side)), material, pose))
        height += side
    return parts


def _plant(rng: np.random.Generator, book: MaterialBook, name: str) -> list[SceneObject]:
    parts = [book.thing(name, cylinder(0.22, 0.45, segments=14), book.pick("wood", 1), standing((0, 0, 0.225)))]
    for number in range(3):
        radius = float(rng.uniform(0.18, 0.34))
        place = (float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.15, 0.15)), 0.6 + 0.3 * number)
        parts.append(book.thing(f"{name}-{number}", sphere(radius, segments=12), book.pick("foliage"), standing(place)))
    return parts


def _cupboard(rng: np.random.Generator, book: MaterialBook, name: str) -> list[SceneObject]:
    height = float(rng.uniform(0.9, 2.0))
    doors = [shift(block((0.52, 0.02, height - 0.14)), (x, -0.26, height / 2 + 0.02)) for x in (-0.28, 0.28)]
    body = book.thing(name, shift(block((1.15, 0.5, height)), (0, 0, height / 2)), book.pick("wood"), np.eye(4))
    return [body, book.thing(f"{name}-doors", merge_meshes(doors), book.pick("wood", 1), np.eye(4))]
