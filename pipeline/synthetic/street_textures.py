"""The textures of the street, by name."""

import numpy as np

from pipeline.synthetic import prints, surfaces
from pipeline.synthetic.surfaces import Masonry

_GREEN, _BLUE, _RED, _CREAM = (0.22, 0.38, 0.33), (0.30, 0.42, 0.53), (0.52, 0.20, 0.16), (0.90, 0.87, 0.79)
WALLS = ("brick-red", "brick-brown", "plaster-ochre", "plaster-rose", "plaster-pale", "stone-wall")
FRAMES = ("window-white", "window-dark")
SHUTTERS = ("shutter-green", "shutter-blue", None)
DOORS = ("door-green", "door-red", "door-blue")
AWNINGS = ("awning-red", "awning-green")
POSTERS = ("poster-0", "poster-1", "poster-2", "poster-3")


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
