import numpy as np
import pytest

from labelers import QueryPolicy, choose_queries
from labelers.queries import true_points
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames, FramesInMemory, TrackTruth

SIZE = {"height": 48, "width": 80}


def make_truth(num_tracks=5, num_frames=4, **changes) -> TrackTruth:
    """Track n is at (n / 3 + t, 2 n + 0.1 t), seen in every frame, begun in frame 0."""
    t, n = np.meshgrid(np.arange(num_frames), np.arange(num_tracks), indexing="ij")
    arrays = {
        "tracks_px": np.stack([n / 3 + t, 2 * n + 0.1 * t], axis=-1).astype(np.float32),
        "visibility": np.ones(t.shape, bool),
        "track_valid": np.ones(t.shape, bool),
        "query_frame": np.zeros(num_tracks, np.int32),
    }
    return TrackTruth(**{**arrays, **changes})


def points(truth: TrackTruth, count=100, key="a") -> np.ndarray:
    return true_points(truth, count=count, key=key, **SIZE)


def test_a_query_is_the_true_position_bit_for_bit():
    truth = make_truth()
    queries = points(truth)
    assert queries.dtype == np.float32
    np.testing.assert_array_equal(queries[:, 0], 0)
    np.testing.assert_array_equal(queries[:, 1:], truth.tracks_px[0])


def test_a_track_is_queried_in_the_first_frame_from_its_own_on_in_which_it_is_seen():
    visibility, valid = np.ones((4, 5), bool), np.ones((4, 5), bool)
    visibility[:2, 1] = False  # hidden until frame 2
    valid[0, 2] = False  # unknown in frame 0
    visibility[2:, 3] = False  # seen before its query frame alone
    truth = make_truth(visibility=visibility, track_valid=valid, query_frame=np.array([0, 0, 0, 2, 3], np.int32))
    queries = points(truth)
    assert queries[:, 0].tolist() == [0, 1, 2, 3], "tracks 0, 2, 1, 4 in the order of their frames; track 3 is left out"
    np.testing.assert_array_equal(queries[:, 1:], [truth.tracks_px[t, n] for t, n in ((0, 0), (1, 2), (2, 1), (3, 4))])


def test_a_point_outside_the_image_is_not_asked_for():
    tracks = make_truth().tracks_px.copy()
    tracks[:2, 1, 0], tracks[:, 4, 1] = 79.75, -0.75
    queries = points(make_truth(tracks_px=tracks))
    assert queries[:, 0].tolist() == [0, 0, 0, 2]
    ClipFrames(key="a", reader=FramesInMemory(np.zeros((4, 48, 80, 3), np.uint8)), queries=queries)  # refuses what lies outside


@pytest.mark.parametrize("count", [0, 1, 7, 99, 100, 101])
def test_of_more_tracks_than_wanted_each_is_taken_once_at_most_and_they_spread(count):
    tracks = np.zeros((2, 100, 2), np.float32)
    tracks[..., 0], tracks[..., 1] = np.arange(100) % 80, np.arange(100) // 4
    truth = make_truth(100, 2, tracks_px=tracks)
    queries = points(truth, count)
    assert len(queries) == min(count, 100)
    assert len(np.unique(queries, axis=0)) == len(queries)
    if count == 7:  # one from each seventh
        chosen = [int(np.flatnonzero((tracks[0] == query[1:]).all(axis=1))[0]) for query in queries]
        assert [number * 7 // 100 for number in chosen] == list(range(7))


def test_the_choice_depends_on_the_key_and_on_nothing_else():
    truth = make_truth(40)
    np.testing.assert_array_equal(points(truth, 6, "a"), points(truth, 6, "a"))
    assert not np.array_equal(points(truth, 6, "a"), points(truth, 6, "b"))


def test_tracks_that_are_never_seen_give_no_queries():
    assert points(make_truth(visibility=np.zeros((4, 5), bool))).shape == (0, 3)


def test_the_policy_takes_its_points_from_the_truth_and_reads_no_frame():
    class Unread:
        shape = (4, 48, 80)

        def __iter__(self):
            raise AssertionError("a frame was read")

    queries = choose_queries(Unread(), QueryPolicy(policy="truth", num_queries=3), key="a", truth=make_truth())
    np.testing.assert_array_equal(queries, points(make_truth(), 3))


def test_a_clip_without_true_tracks_is_an_error_that_names_it():
    reader = FramesInMemory(np.zeros((4, 48, 80, 3), np.uint8))
    with pytest.raises(DataError, match="clip abc has no true tracks to take queries from; use another query policy"):
        choose_queries(reader, QueryPolicy(policy="truth"), key="abc")


def test_true_points_are_recorded_as_before_whatever_the_default_of_other_policies():
    assert QueryPolicy(policy="truth") == QueryPolicy(policy="truth", num_query_frames=1)


@pytest.mark.parametrize("option", [{"num_query_frames": 2}, {"num_query_frames": 4}, {"margin": 0.1}])
def test_options_that_mean_nothing_to_the_policy_are_refused(option):
    with pytest.raises(ConfigError, match="true tracks have query frames and places of their own"):
        QueryPolicy(policy="truth", **option)
