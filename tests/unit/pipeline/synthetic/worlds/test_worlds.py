import numpy as np
import pytest

from pipeline.synthetic.worlds.materials import STUDIO_LOOKS, WILD_LOOKS, MaterialBook
from pipeline.synthetic.worlds.objects import World, clear_of
from pipeline.synthetic.worlds.room import room
from pipeline.synthetic.worlds.terrain import terrain
from pipeline.synthetic.worlds.town import town

BUILDERS = {"room": room, "street": town, "terrain": terrain}
LOOKS = {"studio": STUDIO_LOOKS, "wild": WILD_LOOKS}


def built(kind: str, seed: int, domain: str = "studio") -> World:
    return BUILDERS[kind](np.random.default_rng(seed), MaterialBook(LOOKS[domain], seed=(seed,)))


def points_of(world: World) -> np.ndarray:
    return np.concatenate([item.mesh.vertices @ item.poses[:3, :3].T + item.poses[:3, 3] for item in world.objects])


@pytest.mark.parametrize("domain", sorted(LOOKS))
@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_a_world_stands_still_and_camera_and_focus_are_free(kind: str, domain: str) -> None:
    for seed in range(4):
        world = built(kind, seed, domain)
        assert world.kind == kind
        assert not any(item.is_moving for item in world.objects)
        assert len({item.name for item in world.objects}) == len(world.objects)
        assert world.is_free(np.array([world.start, world.focus])).all()
        assert 2 < np.linalg.norm(np.array(world.start) - world.focus) < 20
        assert len(world.objects) > 12


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_equal_draws_build_equal_worlds_and_others_differ(kind: str) -> None:
    np.testing.assert_array_equal(points_of(built(kind, 1)), points_of(built(kind, 1)))
    assert built(kind, 1).start != built(kind, 2).start


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_nothing_stands_where_it_is_free(kind: str) -> None:
    world = built(kind, 3)
    points = points_of(world)
    standing = points[(points[:, 2] - world.ground(points[:, :2]) > 0.35) & (points[:, 2] - world.ground(points[:, :2]) < 1.8)]
    assert len(standing) > 50
    assert not world.is_free(standing[:, :2]).mean() > 0.02  # a crown that hangs over, at most


def test_a_room_is_closed_and_its_lamp_hangs_inside() -> None:
    world = built("room", 0)
    points = points_of(world)
    low, high = points.min(axis=0), points.max(axis=0)
    assert not world.has_sky
    assert world.lamp is not None
    assert (np.array(world.lamp) > low).all()
    assert (np.array(world.lamp) < high).all()
    assert {"floor", "ceiling", "wall-0", "wall-1", "wall-2", "wall-3"} <= {item.name for item in world.objects}


def test_the_ground_of_a_terrain_is_the_mesh_that_is_seen() -> None:
    world = built("terrain", 5)
    mesh = next(item.mesh for item in world.objects if item.name == "ground")
    np.testing.assert_allclose(world.ground(mesh.vertices[:, :2]), mesh.vertices[:, 2], atol=1e-9)
    cell = np.sqrt(np.diff(np.unique(np.round(mesh.vertices[:, 0], 6))).min())
    assert cell < 1
    assert np.linalg.norm(points_of(world)[:, :2], axis=1).max() < 190  # depth stays below 200 m


def test_free_keeps_half_a_metre_from_what_stands_there() -> None:
    free = clear_of(np.array([[0.0, 0.0], [5.0, 0.0]]), np.array([1.0, 0.2]))
    np.testing.assert_array_equal(free(np.array([[1.4, 0], [1.6, 0], [5, 0.6], [5, 0.8]])), [False, True, False, True])
    assert clear_of(np.zeros((0, 2)), np.zeros(0))(np.zeros((1, 2))).all()
