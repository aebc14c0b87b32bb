"""A street between houses, along y; parked things, lamps and trees on the pavements."""

import numpy as np

from pipeline.synthetic.mesh import box, cylinder, merge_meshes, rectangle
from pipeline.synthetic.motions import standing
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.objects import World, block, bush, level, move_object, parked_car, roof, shift, tree

_KERB_M = 0.13
_PAVEMENT_M = 2.4
_LENGTH_M = 85.0
_BEHIND_M = 12.0
_PARKED_M = 2.4  # of the road on each side belongs to parked cars and to what must not touch them


def town(rng: np.random.Generator, book: MaterialBook) -> World:
    """A street that begins behind the camera and ends at a house."""
    half_road = float(rng.uniform(4.3, 5.5))
    parts = _surfaces(book, half_road)
    for side in (-1, 1):
        parts += _houses(rng, book, side, half_road + _PAVEMENT_M)
        parts += _furniture(rng, book, side, half_road)
    end = _LENGTH_M - _BEHIND_M
    parts.append(book.thing("end", box((26, 8, 9), step_m=4), book.pick("facade", 2), standing((0, end + 4, 4.5))))
    return World(
        kind="street",
        objects=tuple(parts),
        ground=level(),
        is_free=lambda places: (
            (np.abs(places[..., 0]) < half_road - _PARKED_M) & (np.abs(places[..., 1] - end / 2) < end / 2 + _BEHIND_M - 2)
        ),
        start=(float(rng.uniform(-0.3, 0.3)) * half_road, 0.0),
        focus=(float(rng.uniform(-0.2, 0.2)) * half_road, float(rng.uniform(8, 12))),
        has_sky=True,
    )


def _surfaces(book: MaterialBook, half_road: float) -> list[SceneObject]:
    road = book.pick("road")
    tile = book.tile_m(road)
    # the middle of the texture's tile, where a line may be drawn, falls on the middle of the road
    width = 2 * tile * np.ceil(half_road / tile) + tile if round(2 * half_road / tile) else tile
    flat = rectangle(np.array([-width / 2, _LENGTH_M - _BEHIND_M, 0]), np.array([width, 0, 0]), np.array([0, -_LENGTH_M, 0]), step_m=1.5)
    parts = [book.thing("road", flat, road, np.eye(4))]
    for side in (-1, 1):
        place = standing((side * (half_road + 8), (_LENGTH_M - 2 * _BEHIND_M) / 2, _KERB_M / 2))
        parts.append(book.thing(f"pavement{side}", box((16, _LENGTH_M, _KERB_M), step_m=1.5), book.pick("pavement"), place))
    return parts


def _houses(rng: np.random.Generator, book: MaterialBook, side: int, setback: float) -> list[SceneObject]:
    parts: list[SceneObject] = []
    y = -_BEHIND_M
    while y < _LENGTH_M - _BEHIND_M:
        width, storeys = float(rng.uniform(6, 11)), int(rng.integers(1, 4))
        if rng.random() < 0.82:
            parts += _house(rng, book, f"house{side}-{len(parts)}", (width, 2.8 * storeys + 0.4), (side, setback, y))
        y += width + (float(rng.uniform(0, 3)) if rng.random() < 0.4 else 0)
    return parts


def _house(
    rng: np.random.Generator, book: MaterialBook, name: str, size: tuple[float, float], place: tuple[int, float, float]
) -> list[SceneObject]:
    """A house whose front, `size` (width, height), looks at the street: place is (side, distance from the middle, where it begins)."""
    (width, height), (side, setback, y) = size, place
    depth = float(rng.uniform(6, 9))
    pose = standing((side * setback, y + width / 2, 0), turn_deg=-90.0 * side)
    wood = book.pick("wood")
    door = shift(block((1.1, 0.12, 2.2)), (float(rng.uniform(-0.3, 0.3)) * width, 0, 1.2))
    walls = shift(box((width, depth, height), step_m=2.4), (0, depth / 2, height / 2))
    trim = [shift(block((width + 0.1, 0.3, 0.25)), (0, -0.02, z)) for z in (0.12, height)]
    parts = [
        book.thing(name, walls, book.pick("facade", int(rng.integers(3))), np.eye(4)),
        book.thing(f"{name}-trim", merge_meshes([*trim, door]), wood, np.eye(4)),
    ]
    if rng.random() < 0.7:
        top = shift(roof(width + 0.3, depth + 0.6, float(rng.uniform(1.5, 3))), (0, depth / 2, height + 0.1))
        parts.append(book.thing(f"{name}-roof", top, book.pick("roof"), np.eye(4)))
    if rng.random() < 0.5:
        sloped = shift(block((0.7 * width, 1.1, 0.06)), (0, -0.5, 2.7))
        parts.append(book.thing(f"{name}-awning", sloped, book.pick("cloth"), np.eye(4)))
    if rng.random() < 0.5:
        board = shift(block((0.06, 0.9, 0.7)), (float(rng.uniform(-0.4, 0.4)) * width, -0.55, 3.3))
        parts.append(book.thing(f"{name}-sign", board, book.pick("print"), np.eye(4)))
    return [move_object(part, pose) for part in parts]


def _furniture(rng: np.random.Generator, book: MaterialBook, side: int, half_road: float) -> list[SceneObject]:
    """Lamps, trees, tubs and bins along the kerb; cars by the side of the road."""
    parts: list[SceneObject] = []
    x, y = side * (half_road + 0.55), -2.0
    while y < 50:
        y += float(rng.uniform(2.5, 5.5))
        name, kind = f"kerb{side}-{len(parts)}", rng.random()
        if kind < 0.25:
            post = merge_meshes(
                [shift(cylinder(0.06, 4, segments=8, step_m=2), (0, 0, 2)), shift(block((0.7, 0.16, 0.1)), (-0.3 * side, 0, 4))]
            )
            parts.append(book.thing(name, post, book.pick("metal"), standing((x, y, _KERB_M))))
        elif kind < 0.5:
            parts += tree(rng, book, name, (x + 0.3 * side, y, _KERB_M))
        elif kind < 0.65:
            parts.append(book.thing(name, cylinder(0.28, 0.9, segments=12), book.pick("metal"), standing((x, y, _KERB_M + 0.45))))
        elif kind < 0.8:
            parts.append(bush(rng, book, name, (x + 0.4 * side, y, _KERB_M + 0.3)))
        elif y > 3:
            parts += parked_car(rng, book, name, standing((side * (half_road - 0.75), y, 0), turn_deg=90.0))
            y += 3
    return parts
