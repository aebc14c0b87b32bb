import numpy as np
import pytest

from pipeline.audit.tracks.neighbours import neighbour_motion


def crowd(num_frames=13):
    places = np.stack(np.meshgrid(10.0 * np.arange(5), 10.0 * np.arange(5)), axis=-1).reshape(-1, 2)
    tracks = places + np.arange(num_frames)[:, None, None] * np.array([1.0, 0.5])
    return tracks, np.ones(tracks.shape[:2], bool), np.zeros(25, np.int64)


def test_a_crowd_that_moves_together_deviates_from_nothing():
    motion = neighbour_motion(*crowd())
    np.testing.assert_allclose(motion.neigh_max(), 0, atol=1e-12)
    np.testing.assert_array_equal(motion.static_stick(), 0)


def test_a_frozen_track_sticks_and_its_neighbours_do_not():
    tracks, seen, asked = crowd()
    tracks[:, 12] = tracks[0, 12]
    motion = neighbour_motion(tracks, seen, asked)
    assert motion.static_stick()[12] == 1
    assert motion.static_stick().sum() == 1
    assert motion.neigh_max()[12] == pytest.approx(12 * np.hypot(1, 0.5))  # the last frame counts
    assert np.delete(motion.neigh_max(), 12).max() < 1e-9  # the median of eight does not care for one


def test_a_still_scene_sticks_to_nothing():
    tracks, seen, asked = crowd()
    np.testing.assert_array_equal(neighbour_motion(np.repeat(tracks[:1], 13, axis=0), seen, asked).static_stick(), 0)


def test_tracks_asked_for_later_are_compared_over_their_own_time():
    tracks, seen, asked = crowd()
    asked[::2] = 6
    np.testing.assert_allclose(neighbour_motion(tracks, seen, asked).neigh_max(), 0, atol=1e-12)


def test_without_three_visible_neighbours_nothing_is_known():
    tracks, seen, asked = crowd()
    seen[1:, 3:] = False
    assert np.isnan(neighbour_motion(tracks, seen, asked).neigh_max()).all()
    seen[1:, 3] = True
    assert np.isnan(neighbour_motion(tracks, seen, asked).neigh_max()[:4]).sum() == 0


def test_a_clip_of_one_frame_tells_nothing():
    tracks, seen, asked = crowd(num_frames=1)
    motion = neighbour_motion(tracks, seen, asked)
    assert np.isnan(motion.neigh_max()).all()
    assert np.isnan(motion.static_stick()).all()
