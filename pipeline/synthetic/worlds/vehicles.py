"""Cars: a body and four wheels. In their own frame they drive along x, the ground is z = 0."""

import numpy as np

from pipeline.synthetic.mesh import Mesh, box, cylinder, merged
from pipeline.synthetic.motions import tilted
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import MaterialBook
from pipeline.synthetic.worlds.primitives import placed, shifted

WHEEL_M = 0.32  # radius


def car_body(length: float) -> Mesh:
    """Lower body and cabin, without wheels."""
    lower = shifted(box((length, 1.65, 0.55), step_m=1), (0, 0, 0.6))
    cabin = box((0.52 * length, 1.5, 0.5), step_m=1)
    taper = np.where(cabin.vertices[:, 2:] > 0, np.array([0.74, 0.85, 1.0]), 1.0)
    sloped = Mesh(vertices=cabin.vertices * taper, normals=cabin.normals, uv=cabin.uv, faces=cabin.faces)
    return merged([lower, shifted(sloped, (-0.06 * length, 0, 1.12))])


def wheel() -> Mesh:
    """A wheel that turns about y."""
    upright = cylinder(WHEEL_M, 0.2, segments=12)
    turn = tilted((0, 0, 0), axis_angles_deg=(90, 0, 0))[:3, :3]
    return Mesh(vertices=upright.vertices @ turn.T, normals=upright.normals @ turn.T, uv=upright.uv, faces=upright.faces)


def wheel_places(length: float) -> np.ndarray:
    """Middles of the four wheels in the car's frame, "4 3"."""
    return np.array([[x, y, WHEEL_M] for x in (-0.31 * length, 0.31 * length) for y in (-0.74, 0.74)])


def parked_car(rng: np.random.Generator, book: MaterialBook, name: str, pose: np.ndarray) -> list[SceneObject]:
    """A car that stands at `pose` "4 4"."""
    length = float(rng.uniform(3.6, 4.6))
    wheels = merged([shifted(wheel(), (float(x), float(y), float(z))) for x, y, z in wheel_places(length)])
    parts = [
        book.thing(name, car_body(length), book.pick("metal", int(rng.integers(2))), np.eye(4)),
        book.thing(f"{name}-wheels", wheels, book.pick("rubber"), np.eye(4)),
    ]
    return [placed(part, pose) for part in parts]
