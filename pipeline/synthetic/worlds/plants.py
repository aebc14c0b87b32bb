"""Trees and bushes."""

import numpy as np

from pipeline.synthetic.mesh import cylinder, merged
from pipeline.synthetic.motions import Point, standing
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.primitives import cone, rock, shifted


def tree(rng: np.random.Generator, book: MaterialBook, name: str, place: Point) -> list[SceneObject]:
    """A broad-leaved tree or a fir."""
    height, turn = float(rng.uniform(3.5, 6.5)), float(rng.uniform(0, 360))
    trunk = shifted(cylinder(0.035 * height, 0.6 * height, segments=8, step_m=1.5), (0, 0, 0.3 * height - 0.2))
    if rng.random() < 0.5:
        crown = merged([shifted(cone(0.26 * height * size, 0.42 * height, segments=10), (0, 0, z * height)) for size, z in _FIR])
    else:
        lobes = [rock(rng, 0.2 * height, segments=10, roughness=0.18) for _ in range(3)]
        at = [(0.1 * height * np.cos(2.1 * i), 0.1 * height * np.sin(2.1 * i), (0.62 + 0.1 * i) * height) for i in range(3)]
        crown = merged([shifted(lobe, where) for lobe, where in zip(lobes, at, strict=True)])
    pose = standing(place, turn_deg=turn)
    return [book.thing(f"{name}-trunk", trunk, book.pick("trunk"), pose), book.thing(f"{name}-crown", crown, book.pick("foliage"), pose)]


def bush(rng: np.random.Generator, book: MaterialBook, name: str, place: Point) -> SceneObject:
    """A low round bush."""
    return book.thing(name, rock(rng, float(rng.uniform(0.35, 0.8)), segments=10), book.pick("foliage"), standing(place))


_FIR = ((1.0, 0.42), (0.78, 0.62), (0.55, 0.82))  # (width, height of the middle) of the tiers, as shares of the whole
