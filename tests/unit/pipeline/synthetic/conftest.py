"""A tiny world: a wall across the view, and whatever a test puts before it."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.synthetic.mesh import box
from pipeline.synthetic.motions import standing
from pipeline.synthetic.scene import Light, Scene, SceneObject

NUM_FRAMES, HEIGHT, WIDTH = 4, 24, 40
FORWARD = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # at the origin, looking along the world's y, z up
INTRINSICS = np.array([[20.0, 0, 19.5], [0, 20, 11.5], [0, 0, 1]])


@pytest.fixture
def make_box() -> Callable[..., SceneObject]:
    def make(name: str, size: tuple[float, float, float], where: tuple[float, float, float] | np.ndarray) -> SceneObject:
        poses = standing(where) if isinstance(where, tuple) else where
        return SceneObject(name=name, mesh=box(size), texture="dots", tile_m=(4, 4), poses=poses)

    return make


@pytest.fixture
def make_scene(make_box: Callable[..., SceneObject]) -> Callable[..., Scene]:
    """A wall 10 m wide and 4 m high whose face lies at y = 5, before a camera at the origin: sky above and below it."""

    def make(*objects: SceneObject, camera_to_world: np.ndarray | None = None) -> Scene:
        wall = make_box("wall", (10, 2, 4), (0, 6, 0))
        return Scene(
            objects=(wall, *objects),
            textures={"dots": np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)},
            light=Light(to_sun=(0.2, -1, 1)),
            camera_to_world=np.tile(FORWARD, (NUM_FRAMES, 1, 1)) if camera_to_world is None else camera_to_world,
            intrinsics=INTRINSICS,
            height=HEIGHT,
            width=WIDTH,
            fps=10,
        )

    return make


@pytest.fixture
def wandering_camera() -> np.ndarray:
    """Poses that shift, rise, turn and come closer, by a little."""
    poses = np.tile(FORWARD, (NUM_FRAMES, 1, 1))
    for frame, angle in enumerate((0.0, 0.05, -0.04, 0.11)):
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        poses[frame, :3, :3] = turn @ FORWARD[:3, :3]
        poses[frame, :3, 3] = [0.1 * frame, 0.3 * frame, -0.07 * frame]
    return poses
