import numpy as np

from pipeline.audit.tracks.collapse import collapse, collapse_clusters


def apart(num_tracks=6, num_frames=12):
    tracks = np.zeros((num_frames, num_tracks, 2))
    tracks[..., 0] = 10.0 * np.arange(num_tracks)
    return tracks, np.ones((num_frames, num_tracks), bool), np.zeros(num_tracks, np.int64)


def test_tracks_that_stay_apart_are_alone():
    np.testing.assert_array_equal(collapse_clusters(*apart()), -1)


def test_tracks_that_run_together_are_one_cluster_exactly_equal_or_not():
    tracks, seen, asked = apart()
    tracks[4:, 1] = tracks[4:, 0] + [0.9, 0]
    tracks[4:, 4] = tracks[4:, 3]
    tracks[4:, 5] = tracks[4:, 3]
    np.testing.assert_array_equal(collapse_clusters(tracks, seen, asked), [0, 0, -1, 1, 1, 1])


def test_a_meeting_of_four_frames_is_no_collapse():
    tracks, seen, asked = apart()
    tracks[4:8, 1] = tracks[4:8, 0]
    assert (collapse_clusters(tracks, seen, asked) == -1).all()
    tracks[8, 1] = tracks[8, 0]
    assert (collapse_clusters(tracks, seen, asked)[:2] == 0).all()


def test_hidden_frames_do_not_count():
    tracks, seen, asked = apart()
    tracks[4:, 1] = tracks[4:, 0]
    seen[8:, 1] = False
    assert (collapse_clusters(tracks, seen, asked) == -1).all()


def test_two_queries_of_one_surface_point_in_different_frames_are_no_collapse():
    tracks, seen, asked = apart()
    tracks[:, 1] = tracks[:, 0]
    asked[1] = 7
    assert (collapse_clusters(tracks, seen, asked) == -1).all()


def test_queries_less_than_4_px_apart_are_no_collapse():
    tracks, seen, asked = apart()
    tracks[:, 1] = tracks[:, 0] + 0.3
    tracks[0, 1] = tracks[0, 0] + [3.9, 0]
    assert (collapse_clusters(tracks, seen, asked) == -1).all()


def test_thousands_of_tracks_on_one_spot_are_found_quickly():
    num_tracks = 3000
    tracks = np.zeros((7, num_tracks, 2))
    tracks[0] = np.random.default_rng(0).uniform(0, 256, (num_tracks, 2))
    clusters = collapse_clusters(tracks, np.ones((7, num_tracks), bool), np.zeros(num_tracks, np.int64))
    np.testing.assert_array_equal(clusters, 0)


def test_the_measure_is_unknown_for_short_tracks():
    seen = np.ones((6, 3), bool)
    seen[4:, 2] = False
    np.testing.assert_array_equal(collapse(np.array([-1, 0, -1]), seen), [0, 1, np.nan])
