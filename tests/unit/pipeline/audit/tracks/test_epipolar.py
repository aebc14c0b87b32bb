import numpy as np
import pytest

from pipeline.audit.tracks.epipolar import homog_med, pair_geometries, sampson_distance, sampson_med, transfer_distance


def turned(num_points=60, num_frames=14):
    """Points of a plane seen by a camera that slides sideways and comes nearer: a homography explains all."""
    places = np.random.default_rng(0).uniform(20, 230, (num_points, 2))
    zoom = 1 + 0.01 * np.arange(num_frames)[:, None, None]
    tracks = 128 + (places - 128) * zoom + np.arange(num_frames)[:, None, None] * np.array([0.5, 0.0])
    return tracks, np.ones(tracks.shape[:2], bool)


def test_sampson_distance_by_hand():
    sideways = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # motion along x: a point keeps its row
    before, after = np.array([[3.0, 4.0], [3.0, 4.0]]), np.array([[9.0, 4.0], [9.0, 6.0]])
    np.testing.assert_allclose(sampson_distance(sideways, before, after), [0, 2 / np.sqrt(2)])
    halving = np.array([[0.0, 0, 0], [0, 0, -2], [0, 1, 0]])  # a point's row becomes half: |y - 2 y'| / sqrt(2^2 + 1^2)
    np.testing.assert_allclose(sampson_distance(halving, before[:1], np.array([[9.0, 1.0]])), 2 / np.sqrt(5))


def test_transfer_distance_by_hand():
    double = np.diag([2.0, 2.0, 1.0])
    distance = transfer_distance(double, np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[2.0, 0.0], [6.0, 0.0]]))
    np.testing.assert_allclose(distance, [0, np.sqrt((4**2 + 2**2) / 2)])  # 4 px ahead, 2 px back


def test_a_point_that_leaves_the_plane_is_far_from_the_homography():
    tracks, seen = turned()
    tracks[:, 7, 1] += 1.5 * np.arange(14)
    pairs = pair_geometries(tracks, seen, gap=8)
    residual = homog_med(pairs, 60)
    assert residual[7] == pytest.approx(12, abs=2)
    assert np.delete(residual, 7).max() < 0.1
    assert [(pair.start, pair.end) for pair in pairs] == [(0, 8), (4, 12)]


def test_only_points_visible_in_both_frames_are_measured_and_30_are_needed():
    tracks, seen = turned()
    seen[8, 3] = seen[4, 3] = False
    assert np.isnan(homog_med(pair_geometries(tracks, seen, gap=8), 60)[3])
    assert pair_geometries(tracks[:, :29], seen[:, :29], gap=8) == []
    assert np.isnan(sampson_med([], 29)).all()


def test_equal_input_gives_equal_fits():
    tracks, seen = turned()
    tracks = tracks + np.random.default_rng(1).normal(0, 0.5, tracks.shape)
    first, second = (sampson_med(pair_geometries(tracks, seen, gap=8), 60) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("spread", [0.0, 100.0])
def test_a_picture_that_stands_still_breaks_nothing(spread):
    places = np.random.default_rng(0).uniform(0, 1, (40, 2)) * spread
    pairs = pair_geometries(np.repeat(places[None], 12, axis=0), np.ones((12, 40), bool), gap=8)
    residual = homog_med(pairs, 40)
    assert len(pairs) == 1
    assert np.isnan(residual).all() or residual.max() < 1e-6
