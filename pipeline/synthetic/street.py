"""Parts of an old street: houses with windows and doors, paving, things that stand about. Each builder returns objects in the world."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.mesh import Mesh, box, cylinder, rectangle, sphere
from pipeline.synthetic.motions import Point, standing, tilted
from pipeline.synthetic.scene import SceneObject

HALF_ROAD_M = 2.3  # from the middle of the road to the kerb
HALF_STREET_M = 3.5  # from the middle of the road to the houses
KERB_M = 0.13
_STOREY_M = 3.1


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """One house of a row. Its front is `width` wide; textures are names."""

    name: str
    left: bool  # on which side of the street
    start_y: float
    width: float
    storeys: int
    wall: str
    frame: str  # of the windows
    shutter: str | None
    door: str
    awning: str | None
    posters: tuple[str, ...] = ()

    @property
    def height(self) -> float:
        """Metres, up to the eaves."""
        return _STOREY_M * self.storeys + 0.5


def road(length: float, start_y: float) -> list[SceneObject]:
    """Cobbles between two raised pavements with kerbs."""
    top_left = np.array([-HALF_ROAD_M, start_y + length, 0])
    cobbled = rectangle(top_left, np.array([2 * HALF_ROAD_M, 0, 0]), np.array([0, -length, 0]), step_m=0.4)
    parts = [SceneObject(name="road", mesh=cobbled, texture="cobbles", tile_m=(2.1, 2.1), poses=np.eye(4))]
    width = HALF_STREET_M - HALF_ROAD_M
    for side, name in ((-1, "left"), (1, "right")):
        middle = (side * (HALF_ROAD_M + width / 2), start_y + length / 2, KERB_M / 2)
        kerb = (side * (HALF_ROAD_M - 0.02), start_y + length / 2, KERB_M / 2 + 0.01)
        parts += [
            _box(f"pavement-{name}", (width, length, KERB_M), middle, texture="paving", tile_m=(1.6, 1.6)),
            _box(f"kerb-{name}", (0.16, length, KERB_M), kerb, texture="stone", tile_m=(2.4, 2.4)),
        ]
    return parts


def house(plan: House) -> list[SceneObject]:
    """A house front with plinth, cornices, windows, and on the ground floor a door, a window or two, an awning, posters."""
    side = -1 if plan.left else 1
    origin = (side * HALF_STREET_M, plan.start_y if plan.left else plan.start_y + plan.width, 0.0)
    pose = standing(origin, turn_deg=-90.0 * side)  # the front looks along -y before it is turned to the street
    w, h, name = plan.width, plan.height, plan.name
    parts = [
        _box(f"{name}-wall", (w, 5.0, h), (w / 2, 2.5, h / 2), texture=plan.wall, tile_m=(2.0, 2.0)),
        _box(f"{name}-plinth", (w, 0.12, 0.65), (w / 2, -0.02, 0.325), texture="stone", tile_m=(2.4, 2.4)),
        _box(f"{name}-eaves", (w + 0.04, 0.9, 0.16), (w / 2, -0.15, h), texture="beams", tile_m=(1.3, 1.3)),
    ]
    for storey in range(1, plan.storeys):
        parts.append(
            _box(f"{name}-cornice{storey}", (w, 0.2, 0.15), (w / 2, -0.04, storey * _STOREY_M + 0.1), texture="stone", tile_m=(2.4, 2.4))
        )
    columns = max(1, int((w - 0.4) // 1.75))
    places = (np.arange(columns) + 0.5) * w / columns
    for storey in range(plan.storeys):
        for column, x in enumerate(places.tolist()):
            bottom = storey * _STOREY_M + (0.95 if storey == 0 else 0.85)
            if storey == 0 and column == columns // 2:
                parts += _doorway(f"{name}-door", x, plan)
            elif storey > 0 or not plan.posters:
                parts += _casement(f"{name}-window{storey}{column}", (x, bottom), plan)
    spots = [x for column, x in enumerate(places.tolist()) if column != columns // 2]
    for x, print_name in zip(spots, plan.posters, strict=False):
        parts.append(_flat(f"{name}-{print_name}", (0.8, 0.02, 1.12), (x, -0.012, 1.75), texture=print_name))
    if plan.awning:
        parts += _awning(f"{name}-awning", plan, plan.awning)
    return [_moved(part, pose) for part in parts]


def end_house(y: float) -> list[SceneObject]:
    """The end of the street in the distance: a broad front with a gate, and a tower behind it."""
    parts = [
        _box("end-wall", (16, 4, 7.5), (0, y + 2, 3.75), texture="plaster-ochre", tile_m=(2.6, 2.6)),
        _box("end-tower", (3.4, 3.4, 15), (-2.4, y + 6, 7.5), texture="stone", tile_m=(2.4, 2.4)),
        _box("end-tower-top", (3.9, 3.9, 0.5), (-2.4, y + 6, 15), texture="beams", tile_m=(1.3, 1.3)),
        _box("end-eaves", (16, 0.6, 0.25), (0, y - 0.1, 7.5), texture="stone", tile_m=(2.4, 2.4)),
        _flat("end-gate", (2.2, 0.1, 2.9), (0.4, y - 0.04, 1.45), texture="door-red"),
    ]
    parts += [_flat(f"end-window{i}", (1.0, 0.06, 1.6), (-5 + 2.1 * i, y - 0.02, 5.2), texture="window-white") for i in range(6)]
    return parts


def pillars(x: float, ys: Sequence[float], *, height: float = 3.0) -> list[SceneObject]:
    """Stone columns in a row that carry a balcony."""
    parts = []
    for i, y in enumerate(ys):
        parts += [
            _upright(f"pillar{i}", cylinder(0.17, height), (x, y, KERB_M + height / 2), texture="stone", tile_m=(1.0681, 1.2)),
            _box(f"pillar{i}-foot", (0.48, 0.48, 0.22), (x, y, KERB_M + 0.11), texture="stone", tile_m=(2.4, 2.4)),
            _box(f"pillar{i}-head", (0.46, 0.46, 0.16), (x, y, KERB_M + height - 0.08), texture="stone", tile_m=(2.4, 2.4)),
        ]
    length, reach = max(ys) - min(ys) + 0.7, HALF_STREET_M - abs(x) + 0.3
    middle = (np.sign(x) * (HALF_STREET_M - reach / 2), (max(ys) + min(ys)) / 2, KERB_M + height + 0.1)
    parts.append(_box("balcony", (reach, length, 0.2), middle, texture="beams", tile_m=(1.3, 1.3)))
    rail = (np.sign(x) * (HALF_STREET_M - reach + 0.04), middle[1], middle[2] + 0.55)
    parts.append(_box("balcony-rail", (0.06, length, 0.8), rail, texture="shutter-green", tile_m=(1.1, 1.1)))
    return parts


def barrel(name: str, place: Point) -> list[SceneObject]:
    """A standing barrel with two hoops."""
    x, y, z = place
    parts = [_upright(name, cylinder(0.30, 0.85), (x, y, z + 0.425), texture="barrel", tile_m=(0.942478, 0.85))]
    parts += [
        _upright(f"{name}-hoop{i}", cylinder(0.312, 0.05), (x, y, z + level), texture="metal", tile_m=(0.6, 0.6))
        for i, level in enumerate((0.16, 0.7))
    ]
    return parts


def crate(name: str, place: Point, *, side: float, turn_deg: float) -> SceneObject:
    """A cubic crate that stands at `place`."""
    x, y, z = place
    return SceneObject(
        name=name,
        mesh=box((side, side, side)),
        texture="crate",
        tile_m=(side, side),
        poses=standing((x, y, z + side / 2), turn_deg=turn_deg),
    )


def planter(name: str, place: Point) -> list[SceneObject]:
    """A wooden tub with a clipped bush."""
    x, y, z = place
    tub = _box(name, (0.55, 0.55, 0.5), (x, y, z + 0.25), texture="planks", tile_m=(0.9, 0.9))
    bush = _upright(f"{name}-bush", sphere(0.42), (x, y, z + 0.8), texture="leaves", tile_m=(0.9, 0.9))
    return [tub, bush, _upright(f"{name}-tip", sphere(0.27), (x, y, z + 1.32), texture="leaves", tile_m=(0.9, 0.9))]


def lamp_post(name: str, place: Point) -> list[SceneObject]:
    """An iron post with a lantern."""
    x, y, z = place
    return [
        _upright(name, cylinder(0.05, 3.4), (x, y, z + 1.7), texture="metal", tile_m=(1.2, 1.2)),
        _upright(f"{name}-foot", cylinder(0.11, 0.5), (x, y, z + 0.25), texture="metal", tile_m=(1.2, 1.2)),
        _flat(f"{name}-lantern", (0.3, 0.3, 0.42), (x, y, z + 3.55), texture="window-dark"),
        _box(f"{name}-cap", (0.4, 0.4, 0.06), (x, y, z + 3.79), texture="metal", tile_m=(1.2, 1.2)),
    ]


def bunting(name: str, y: float, height: float, textures: Sequence[str]) -> list[SceneObject]:
    """Small flags on a sagging line across the street."""
    parts = []
    for i, x in enumerate(np.linspace(-HALF_STREET_M + 0.3, HALF_STREET_M - 0.3, 13).tolist()):
        z = height - 0.55 * (1 - (x / HALF_STREET_M) ** 2)
        flag = box((0.34, 0.012, 0.44))
        pose = tilted((x, y, z), axis_angles_deg=(8 * np.sin(2.1 * i), 9 * x / HALF_STREET_M, 0))
        parts.append(SceneObject(name=f"{name}-flag{i}", mesh=flag, texture=textures[i % len(textures)], tile_m=(0.34, 0.44), poses=pose))
    return parts


def _doorway(name: str, x: float, plan: House) -> list[SceneObject]:
    return [
        _flat(name, (1.1, 0.06, 2.3), (x, -0.01, KERB_M + 1.15), texture=plan.door),
        _box(f"{name}-lintel", (1.5, 0.2, 0.2), (x, -0.06, KERB_M + 2.4), texture="stone", tile_m=(2.4, 2.4)),
        _box(f"{name}-left", (0.18, 0.16, 2.4), (x - 0.64, -0.05, 1.2), texture="stone", tile_m=(2.4, 2.4)),
        _box(f"{name}-right", (0.18, 0.16, 2.4), (x + 0.64, -0.05, 1.2), texture="stone", tile_m=(2.4, 2.4)),
        _box(f"{name}-step", (1.4, 0.35, 0.12), (x, -0.2, KERB_M + 0.06), texture="stone", tile_m=(2.4, 2.4)),
    ]


def _awning(name: str, plan: House, awning: str) -> list[SceneObject]:
    """Cloth that slopes down to the street, with a border that hangs from its lower edge."""
    size = (plan.width * 0.9, 1.3, 0.03)
    slope = tilted((plan.width / 2, -0.55, 2.95), axis_angles_deg=(38, 0, 0))
    cloth = SceneObject(name=name, mesh=box(size), texture=awning, tile_m=(2.4, 2.4), poses=slope)
    border = (plan.width / 2, -1.06, 2.44)
    return [cloth, _box(f"{name}-border", (size[0], 0.02, 0.22), border, texture=awning, tile_m=(2.4, 2.4))]


def _casement(name: str, place: tuple[float, float], plan: House) -> list[SceneObject]:
    x, bottom = place
    middle = bottom + 0.725
    parts = [
        _flat(name, (0.92, 0.03, 1.45), (x, -0.005, middle), texture=plan.frame),
        _box(f"{name}-sill", (1.2, 0.24, 0.09), (x, -0.08, bottom - 0.045), texture="stone", tile_m=(2.4, 2.4)),
        _box(f"{name}-lintel", (1.1, 0.14, 0.14), (x, -0.04, bottom + 1.52), texture="stone", tile_m=(2.4, 2.4)),
    ]
    if plan.shutter:
        for side, label in ((-1, "left"), (1, "right")):
            parts.append(
                _box(f"{name}-{label}", (0.42, 0.06, 1.45), (x + side * 0.67, -0.03, middle), texture=plan.shutter, tile_m=(1.1, 1.1))
            )
    else:
        for side, label in ((-1, "left"), (1, "right")):
            parts.append(_box(f"{name}-{label}", (0.12, 0.13, 1.45), (x + side * 0.52, -0.035, middle), texture="stone", tile_m=(2.4, 2.4)))
    return parts


def _box(name: str, size: Point, centre: Point, *, texture: str, tile_m: tuple[float, float]) -> SceneObject:
    return _upright(name, box(size), centre, texture=texture, tile_m=tile_m)


def _flat(name: str, size: Point, centre: Point, *, texture: str) -> SceneObject:
    """A thin box whose front shows its texture exactly once."""
    return _upright(name, box(size), centre, texture=texture, tile_m=(size[0], size[2]))


def _upright(name: str, mesh: Mesh, centre: Point, *, texture: str, tile_m: tuple[float, float]) -> SceneObject:
    return SceneObject(name=name, mesh=mesh, texture=texture, tile_m=tile_m, poses=standing(centre))


def _moved(part: SceneObject, pose: np.ndarray) -> SceneObject:
    return SceneObject(name=part.name, mesh=part.mesh, texture=part.texture, tile_m=part.tile_m, poses=pose @ part.poses)
