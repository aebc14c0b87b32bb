"""Camera motion from points that move by known maps."""

import numpy as np
import pytest

from pipeline.audit.clips.camera import FollowedCorners, pair_geometry, step_motion

CENTRE = np.array([79.5, 47.5])  # of 160 x 96 pixels


def moved_by(linear: np.ndarray, shift: tuple[float, float], *, num_points: int = 60) -> FollowedCorners:
    starts = np.random.default_rng(3).uniform((0, 0), (159, 95), (num_points, 2))
    return FollowedCorners(starts_px=starts, ends_px=(starts - CENTRE) @ linear.T + CENTRE + shift, num_corners=num_points)


def test_a_shift_is_a_pan():
    motion = step_motion(moved_by(np.eye(2), (3.0, -4.0)), 96, 160)
    assert (motion.pan_px, motion.roll_deg, motion.zoom) == pytest.approx((5.0, 0.0, 0.0), abs=1e-3)


def test_a_turn_from_x_to_y_is_a_positive_roll_and_growth_a_positive_zoom():
    angle = np.radians(2.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    motion = step_motion(moved_by(1.03 * turn, (0.0, 0.0)), 96, 160)
    assert (motion.pan_px, motion.roll_deg, motion.zoom) == pytest.approx((0.0, 2.0, 0.03), abs=1e-3)


def test_too_few_points_give_nothing():
    motion = step_motion(moved_by(np.eye(2), (1.0, 0.0), num_points=11), 96, 160)
    assert np.isnan([motion.pan_px, motion.roll_deg, motion.zoom]).all()
    assert np.isnan(pair_geometry(moved_by(np.eye(2), (1.0, 0.0), num_points=29)).homography_share)


def test_points_that_all_move_alike_determine_a_homography_and_raise_nothing():
    for shift in ((0.0, 0.0), (3.0, 0.0), (5.0, 2.0)):
        assert pair_geometry(moved_by(np.eye(2), shift)).homography_share == 1.0


def test_parallax_leaves_the_homography_and_obeys_the_epipolar_lines():
    rng = np.random.default_rng(0)
    starts = rng.uniform((0, 0), (159, 95), (120, 2))
    depth = rng.uniform(1.0, 8.0, 120)
    corners = FollowedCorners(starts_px=starts, ends_px=starts + np.stack([40 / depth, np.zeros(120)], axis=1), num_corners=120)
    found = pair_geometry(corners)
    assert found.epipolar_share > 0.95
    assert found.homography_share < 0.7
    assert found.residual_px > 1.0
