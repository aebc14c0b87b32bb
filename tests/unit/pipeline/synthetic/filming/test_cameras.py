import numpy as np
import pytest

from pipeline.synthetic.filming.cameras import CAMERAS, Operator, add_shake, orbit, pan
from pipeline.synthetic.worlds.objects import World

TIMES = np.arange(24) / 12
STEADY = Operator(shake_deg=0.0, shake_m=0.0, speed=1.0)


def sloping(height: float = 0.0) -> World:
    """Open ground that rises by a tenth along y."""
    return World(
        kind="terrain",
        objects=(),
        ground=lambda places: height + 0.1 * places[..., 1],
        is_free=lambda places: np.ones(places.shape[:-1], bool),
        start=(0.5, 0.0),
        focus=(-1.0, 9.0),
        has_sky=True,
    )


@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_every_camera_moves_rigidly_above_the_ground_and_looks_towards_the_scene(name: str) -> None:
    poses = CAMERAS[name](sloping(), TIMES, STEADY, np.random.default_rng(3))
    np.testing.assert_allclose(poses[:, :3, :3] @ poses[:, :3, :3].swapaxes(1, 2), np.tile(np.eye(3), (24, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(poses[:, :3, :3]), 1)
    above = poses[:, 2, 3] - sloping().ground(poses[:, :2, 3])
    assert (above > 1.0).all()
    assert (above < 2.6).all()
    to_focus = np.array([-1.0, 9.0]) - poses[:, :2, 3]
    facing = np.sum(poses[:, :2, 2] * to_focus, axis=1) / np.linalg.norm(to_focus, axis=1)
    assert facing.min() > 0.7  # z of the camera looks there
    assert (poses[:, 2, 1] < -0.9).all()  # y of the camera points down
    step = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    assert step.max() < 0.6


@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_the_ground_lifts_the_camera_by_as_much(name: str) -> None:
    low, high = (CAMERAS[name](sloping(height), TIMES, STEADY, np.random.default_rng(3)) for height in (0.0, 2.0))
    change = np.zeros((24, 4, 4))
    change[:, 2, 3] = 2.0
    np.testing.assert_allclose(high - low, change, atol=1e-9)


def test_an_orbit_keeps_its_focus_in_the_middle_of_the_picture() -> None:
    poses = orbit(sloping(), TIMES, STEADY, np.random.default_rng(1))
    focus = np.array([-1.0, 9.0, 0.0])
    seen = np.einsum("tji,tj->ti", poses[:, :3, :3], focus - poses[:, :3, 3])
    assert np.abs(seen[:, 0] / seen[:, 2]).max() < 1e-6


def test_a_pan_turns_evenly_on_the_spot() -> None:
    poses = pan(sloping(), TIMES, STEADY, np.random.default_rng(1))
    yaw = np.unwrap(np.arctan2(poses[:, 1, 2], poses[:, 0, 2]))
    np.testing.assert_allclose(np.diff(yaw), np.diff(yaw).mean(), rtol=1e-6)
    assert abs(yaw[-1] - yaw[0]) > np.radians(5)
    assert np.ptp(poses[:, :2, 3], axis=0).max() == 0


def test_shaking_is_small_smooth_and_as_strong_as_the_operator_is_unsteady() -> None:
    poses = pan(sloping(), TIMES, STEADY, np.random.default_rng(1))
    np.testing.assert_allclose(add_shake(poses, TIMES, STEADY, np.random.default_rng(2)), poses, atol=1e-12)
    turned = {}
    for degrees in (0.2, 2.0):
        unsteady = add_shake(poses, TIMES, Operator(shake_deg=degrees, shake_m=0.02, speed=1.0), np.random.default_rng(2))
        trace = np.trace(poses[:, :3, :3].swapaxes(1, 2) @ unsteady[:, :3, :3], axis1=1, axis2=2)
        turned[degrees] = np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))
        assert 0 < np.abs(unsteady[:, :3, 3] - poses[:, :3, 3]).max() < 0.12
    np.testing.assert_allclose(turned[2.0], 10 * turned[0.2], rtol=0.05)
    assert 1 < turned[2.0].mean() < 6
