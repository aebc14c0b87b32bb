"""The scene of the demo: a walk down an old street, where a ball rolls by, a crate is turned and a sign swings."""

import numpy as np

from pipeline.errors import ConfigError
from pipeline.synthetic import prints, street, surfaces
from pipeline.synthetic.mesh import box, sphere
from pipeline.synthetic.motions import WalkPath, rolling, standing, swinging, turning, walking_camera
from pipeline.synthetic.scene import Light, Scene, SceneObject, pinhole
from pipeline.synthetic.surfaces import Masonry

_GREEN, _BLUE, _RED, _CREAM = (0.22, 0.38, 0.33), (0.30, 0.42, 0.53), (0.52, 0.20, 0.16), (0.90, 0.87, 0.79)
WALLS = ("brick-red", "brick-brown", "plaster-ochre", "plaster-rose", "plaster-pale", "stone-wall")
FRAMES = ("window-white", "window-dark")
SHUTTERS = ("shutter-green", "shutter-blue", None)
DOORS = ("door-green", "door-red", "door-blue")
AWNINGS = ("awning-red", "awning-green")
POSTERS = ("poster-0", "poster-1", "poster-2", "poster-3")
_START_Y = -3.0  # the street begins behind the camera
_AHEAD_M = 30.0  # and goes on so far beyond the end of the walk


def street_textures(rng: np.random.Generator, size: int = 512) -> dict[str, np.ndarray]:
    """All textures that the street and its movers name, uint8 "S S 3" each."""
    colours = _walls(rng, size) | _woodwork(rng, size) | _printed(rng, size)
    colours |= {
        "cobbles": surfaces.cobbles(rng, size, (0.55, 0.53, 0.50)),
        "leaves": surfaces.leaves(rng, size),
        "metal": surfaces.metal(rng, size, (0.13, 0.17, 0.17)),
        "weathering": surfaces.weathering(rng, size),
        "clouds": surfaces.clouds(rng, size),
    }
    return {name: np.round(255 * colour).astype(np.uint8) for name, colour in colours.items()}


def _walls(rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    mortar = (0.66, 0.62, 0.56)
    return {
        "brick-red": surfaces.masonry(rng, size, Masonry(columns=8, rows=26, joint=0.13, colour=(0.62, 0.34, 0.26), mortar=mortar)),
        "brick-brown": surfaces.masonry(rng, size, Masonry(columns=8, rows=26, joint=0.13, colour=(0.60, 0.47, 0.33), mortar=mortar)),
        "plaster-ochre": surfaces.plaster(rng, size, (0.87, 0.72, 0.49)),
        "plaster-rose": surfaces.plaster(rng, size, (0.82, 0.58, 0.48)),
        "plaster-pale": surfaces.plaster(rng, size, (0.78, 0.80, 0.77)),
        "stone-wall": surfaces.masonry(
            rng, size, Masonry(columns=4, rows=8, joint=0.06, colour=(0.66, 0.60, 0.51), mortar=(0.47, 0.44, 0.40))
        ),
        "stone": surfaces.masonry(
            rng, size, Masonry(columns=4, rows=8, joint=0.03, colour=(0.70, 0.67, 0.61), mortar=(0.46, 0.44, 0.41), variety=0.08)
        ),
        "paving": surfaces.masonry(
            rng, size, Masonry(columns=3, rows=4, joint=0.035, colour=(0.60, 0.58, 0.55), mortar=(0.33, 0.31, 0.28), variety=0.13)
        ),
    }


def _woodwork(rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    return {
        "planks": surfaces.planks(rng, size, (0.50, 0.37, 0.25)),
        "beams": surfaces.planks(rng, size, (0.36, 0.27, 0.19), count=5),
        "barrel": surfaces.planks(rng, size, (0.52, 0.36, 0.21), count=10),
        "shutter-green": surfaces.planks(rng, size, _GREEN, count=8),
        "shutter-blue": surfaces.planks(rng, size, _BLUE, count=8),
        "window-white": prints.window(rng, size, _CREAM),
        "window-dark": prints.window(rng, size, (0.33, 0.24, 0.18)),
        "door-green": prints.door(rng, size, _GREEN),
        "door-red": prints.door(rng, size, _RED),
        "door-blue": prints.door(rng, size, _BLUE),
        "crate": prints.crate(rng, size, (0.64, 0.48, 0.30), mark="No 7"),
        "crate-mover": prints.crate(rng, size, (0.72, 0.52, 0.27), mark="TEA"),
    }


def _printed(rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    titles = ("CIRCUS", "JAZZ", "OPERA", "MARKET")
    return {
        "awning-red": prints.stripes(rng, size, ((0.72, 0.22, 0.18), _CREAM), count=10),
        "awning-green": prints.stripes(rng, size, ((0.20, 0.42, 0.34), _CREAM), count=10),
        "sign-cafe": prints.sign(rng, size, text="CAFE", board=(0.14, 0.27, 0.24), ink=(0.93, 0.83, 0.56)),
        "sign-books": prints.sign(rng, size, text="BOOKS", board=(0.42, 0.13, 0.13), ink=(0.94, 0.86, 0.66)),
        "ball": prints.ball(rng, size),
        **{name: prints.poster(rng, size, title=title) for name, title in zip(POSTERS, titles, strict=True)},
    }


def walk_scene(seed: int = 0, *, num_frames: int = 72, fps: float = 24.0, height: int = 288, width: int = 512) -> Scene:
    """A walking camera between houses; equal arguments give an equal scene.

    The seed chooses houses, textures and the walker's steps. A different number of frames changes only how long the walk and the
    street are; a different size, only the sampling.
    Raises: ConfigError for a size or rate that makes no video.
    """
    if num_frames < 1 or not fps > 0:
        raise ConfigError(f"{num_frames} frames at {fps} fps: expected positive numbers")
    # one generator per part, so that what one draws does not shift the others
    texture_rng, house_rng, camera_rng = (np.random.default_rng([seed, part]) for part in range(3))
    times_s = np.arange(num_frames) / fps
    walk = WalkPath(start=(0.15, 0.0, 1.62))
    return Scene(
        objects=(*_houses(house_rng, end_y=walk.speed_m_s * num_frames / fps + _AHEAD_M), *_furniture(), *_movers(times_s)),
        textures=street_textures(texture_rng),
        light=Light(to_sun=(0.58, -0.55, 1.35), clouds="clouds", weathering="weathering"),
        camera_to_world=walking_camera(walk, times_s, rng=camera_rng),
        intrinsics=pinhole(height, width, horizontal_fov_deg=68),
        height=height,
        width=width,
        fps=fps,
    )


def _houses(rng: np.random.Generator, *, end_y: float) -> list[SceneObject]:
    """Two rows of houses, the road between them, and the house at the end of the street."""
    parts = street.road(end_y - _START_Y + 2, _START_Y) + street.end_house(end_y)
    for left in (True, False):
        y, walls = _START_Y, rng.permutation(np.array(WALLS)).tolist()
        number = 0
        while y < end_y:
            plan = _house_plan(rng, left=left, number=number, start_y=y, wall=walls[number % len(walls)])
            parts += street.house(plan)
            y, number = y + plan.width, number + 1
    return parts


def _house_plan(rng: np.random.Generator, *, left: bool, number: int, start_y: float, wall: str) -> street.House:
    is_clear = start_y > 10.8  # nearer, an awning would cut through the balcony or the sign
    has_posters = (number + left) % 3 == 1
    return street.House(
        name=f"{'left' if left else 'right'}{number}",
        left=left,
        start_y=start_y,
        width=float(rng.uniform(4.2, 6.6)),
        storeys=int(rng.integers(2, 4)),
        wall=wall,
        frame=FRAMES[rng.integers(len(FRAMES))],
        shutter=SHUTTERS[rng.integers(len(SHUTTERS))],
        door=DOORS[rng.integers(len(DOORS))],
        awning=None if has_posters or not is_clear else AWNINGS[rng.integers(len(AWNINGS))],
        posters=tuple(rng.permutation(np.array(POSTERS)).tolist()) if has_posters else (),
    )


def _furniture() -> list[SceneObject]:
    """Furniture on the pavements and over the road."""
    ground = street.KERB_M
    parts = [
        street.crate("crate0", (2.85, 4.6, ground), side=0.7, turn_deg=12),
        street.crate("crate1", (3.0, 5.4, ground), side=0.6, turn_deg=-8),
        street.crate("crate2", (2.9, 4.75, ground + 0.7), side=0.5, turn_deg=31),
    ]
    parts += street.barrel("barrel0", (-2.75, 5.2, ground)) + street.barrel("barrel1", (-3.1, 5.75, ground))
    parts += street.barrel("barrel2", (2.8, 13.0, ground))
    parts += street.planter("planter0", (2.95, 8.2, ground)) + street.planter("planter1", (-2.9, 12.6, ground))
    parts += street.lamp_post("lamp0", (2.55, 10.4, ground)) + street.lamp_post("lamp1", (-2.55, 17.0, ground))
    parts += street.pillars(-2.65, (7.4, 9.0, 10.6))
    parts += street.bunting("bunting0", 9.0, 4.9, POSTERS) + street.bunting("bunting1", 15.0, 5.2, (*AWNINGS, *POSTERS))
    return parts


def _movers(times_s: np.ndarray) -> list[SceneObject]:
    """A ball that rolls across the road, a crate that slides and turns, a sign that swings over the pavement with its bracket."""
    ball_path = rolling((-1.9, 6.6, 0.32), (1.05, 0.30, 0.0), radius=0.32, times_s=times_s)
    crate_path = turning((1.35, 10.6, 0.41), (-0.42, -0.45, 0.0), turn_deg_s=38, times_s=times_s)
    sign_path = swinging((2.55, 7.0, 3.0), (0.0, 0.0, -0.52), swing_deg=(16, 0, 0), period_s=1.9, times_s=times_s)
    board = box((0.95, 0.05, 0.85))
    bracket = SceneObject(
        name="bracket", mesh=box((1.6, 0.05, 0.06)), texture="metal", tile_m=(1.2, 1.2), poses=standing((2.75, 7.0, 3.03))
    )
    return [
        SceneObject(name="ball", mesh=sphere(0.32, segments=48), texture="ball", tile_m=(2 * np.pi * 0.32, np.pi * 0.32), poses=ball_path),
        SceneObject(name="moving-crate", mesh=box((0.82, 0.82, 0.82)), texture="crate-mover", tile_m=(0.82, 0.82), poses=crate_path),
        SceneObject(name="sign", mesh=board, texture="sign-cafe", tile_m=(0.95, 0.85), poses=sign_path),
        bracket,
    ]
