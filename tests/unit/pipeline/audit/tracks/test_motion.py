import numpy as np
import pytest

from pipeline.audit.tracks.motion import accel_max, border_min, jump


def even(num_tracks=10, step=3.0):
    tracks = np.zeros((20, num_tracks, 2))
    tracks[..., 0] = step * np.arange(20)[:, None]
    return tracks, np.ones((20, num_tracks), bool)


def test_even_motion_has_no_acceleration_and_no_jump_however_fast():
    tracks, seen = even(step=30)
    np.testing.assert_allclose(accel_max(tracks, seen), 0)
    np.testing.assert_allclose(jump(tracks, seen), 0)


def test_one_jump_of_20_px_stands_out_by_hand():
    tracks, seen = even()
    tracks[7, 2, 1] += 20
    assert accel_max(tracks, seen)[2] == pytest.approx(40 / (1 + 3))  # 20 up and 20 down; the median step is 3 px
    assert jump(tracks, seen)[2] == pytest.approx((np.hypot(3, 20) - 3) / 0.5)
    assert np.delete(jump(tracks, seen), 2).max() == pytest.approx(0)


def test_a_jump_while_hidden_does_not_count():
    tracks, seen = even()
    tracks[7, 2, 1] += 20
    seen[7, 2] = False
    assert accel_max(tracks, seen)[2] == pytest.approx(0)
    assert jump(tracks, seen)[2] == pytest.approx(0)


def test_a_shaking_camera_is_not_held_against_the_tracks():
    tracks, seen = even()
    tracks[9] += [0, 12]
    np.testing.assert_allclose(accel_max(tracks, seen), 0, atol=1e-9)
    few, few_seen = even(num_tracks=3)
    few[9] += [0, 12]  # three tracks are no crowd
    assert (accel_max(few, few_seen) > 4).all()


def test_too_few_steps_say_nothing():
    tracks, seen = even()
    seen[4:, 0] = False  # three steps
    seen[2:, 1] = False
    assert np.isnan(jump(tracks, seen)[:2]).all()
    assert np.isnan(accel_max(tracks, seen)).tolist()[:3] == [False, True, False]
    assert np.isnan(accel_max(tracks[:1], seen[:1])).all()


def test_the_least_distance_from_the_border_by_hand():
    tracks = np.array([[[3.0, 100.0], [200.0, 10.0]], [[50.0, 254.0], [-4.0, 90.0]]])
    np.testing.assert_allclose(border_min(tracks, np.array([[True, True], [True, False]])), [1, 10])
    np.testing.assert_allclose(border_min(tracks, np.ones((2, 2), bool)), [1, -4])
    assert np.isnan(border_min(tracks, np.zeros((2, 2), bool))).all()
