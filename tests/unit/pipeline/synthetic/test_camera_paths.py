import numpy as np
import pytest

from pipeline.synthetic.motions import WalkPath, walking_camera

TIMES = np.arange(48) / 24
STILL = {"bob_m": 0.0, "sway_m": 0.0, "glance_deg": 0.0, "shake_deg": 0.0}


def test_a_walk_without_any_swaying_is_a_straight_level_line() -> None:
    poses = walking_camera(WalkPath(start=(1, 2, 1.5), speed_m_s=1.2, pitch_deg=0, **STILL), TIMES, rng=np.random.default_rng(0))
    np.testing.assert_allclose(poses[:, :3, 3], np.stack([1 + 0 * TIMES, 2 + 1.2 * TIMES, 1.5 + 0 * TIMES], axis=-1))
    right, down, forward = poses[0, :3, :3].T
    np.testing.assert_allclose([right, down, forward], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12)


def test_heading_turns_left_and_pitch_looks_up() -> None:
    pose = walking_camera(WalkPath(heading_deg=10, pitch_deg=5, **STILL), TIMES, rng=np.random.default_rng(0))[-1]
    forward = pose[:3, 2]
    assert forward[0] == pytest.approx(-np.sin(np.radians(10)) * np.cos(np.radians(5)))
    assert forward[2] == pytest.approx(np.sin(np.radians(5)))
    assert pose[0, 3] / pose[1, 3] == pytest.approx(-np.tan(np.radians(10)))


def test_poses_are_rigid_and_the_same_generator_state_gives_the_same_walk() -> None:
    poses = walking_camera(WalkPath(), TIMES, rng=np.random.default_rng(5))
    rotation = poses[:, :3, :3]
    np.testing.assert_allclose(rotation @ rotation.swapaxes(1, 2), np.tile(np.eye(3), (48, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    np.testing.assert_array_equal(poses, walking_camera(WalkPath(), TIMES, rng=np.random.default_rng(5)))
    assert not np.allclose(poses, walking_camera(WalkPath(), TIMES, rng=np.random.default_rng(6)))
