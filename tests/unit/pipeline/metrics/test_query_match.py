import numpy as np

from pipeline.metrics.label_comparison import match_queries
from pipeline.records import TrackTruth


def make_truth(**changes) -> TrackTruth:
    """Three tracks over two frames; the last two stand on one spot in frame 1."""
    tracks = np.array([[[0.1, 5], [2, 6], [3, 7]], [[1, 5], [9, 9], [9, 9]]], np.float32)
    every = np.ones((2, 3), bool)
    arrays = {"tracks_px": tracks, "visibility": every, "track_valid": every, "query_frame": np.zeros(3, np.int32)}
    return TrackTruth(**{**arrays, **changes})


def match(*queries, **changes) -> list[int]:
    return match_queries(np.array(queries, np.float32).reshape(-1, 3), make_truth(**changes)).tolist()


def test_a_query_finds_the_track_that_stands_there_in_its_frame():
    assert match((0, 3, 7), (0, 0.1, 5), (1, 1, 5), (0, 2, 6)) == [2, 0, 0, 1]


def test_a_place_of_another_frame_or_a_hair_beside_is_no_match():
    assert match((1, 3, 7), (0, np.nextafter(np.float32(3), np.float32(4)), 7), (0, 7, 3), (5, 3, 7)) == [-1, -1, -1, -1]


def test_of_two_tracks_on_one_spot_it_is_the_first_one_that_is_seen():
    assert match((1, 9, 9)) == [1]
    assert match((1, 9, 9), visibility=np.array([[1, 1, 1], [1, 0, 1]], bool)) == [2]
    assert match((1, 9, 9), track_valid=np.array([[1, 1, 1], [1, 0, 0]], bool)) == [-1]


def test_minus_zero_is_zero():
    tracks = make_truth().tracks_px.copy()
    tracks[0, 1] = -0.0, 6
    assert match((0, 0, 6), tracks_px=tracks) == [1]


def test_no_query_and_no_track_are_no_error():
    assert match() == []
    assert match((0, 1, 1), visibility=np.zeros((2, 3), bool)) == [-1]
