import numpy as np
import pytest

from labelers import make_labeler
from labelers.reseeding import ReseedingRule, reseed, uncovered_pixels
from pipeline.records import TrackLabels

NAMES = ("dis-flow", "lucas-kanade")
GRID = [(0, x, y) for x in np.linspace(4, 60, 8) for y in np.linspace(8, 88, 8)]  # the left half only


@pytest.mark.parametrize("name", NAMES)
def test_where_tracks_leave_the_image_new_ones_restore_the_number(name, moving_plane):
    clip = moving_plane(GRID, velocity=(-3, 0), num_frames=24)
    plain = make_labeler(name).label([clip])[0]
    seeded = make_labeler(name, reseed_below=0.7, reseed_every=4).label([clip])[0]
    assert plain.visibility[20].sum() < 10
    assert (seeded.visibility[::4].sum(axis=1) >= 0.7 * 64).all()
    np.testing.assert_array_equal(seeded.queries[:64], clip.queries)
    np.testing.assert_array_equal(seeded.tracks_px[:, :64], plain.tracks_px)
    assert set(seeded.queries[64:, 0]) <= set(range(0, 24, 4))
    assert seeded.confidence.shape == seeded.visibility.shape


def test_new_tracks_run_backwards_too(moving_plane):
    clip = moving_plane(GRID, velocity=(-3, 0), num_frames=24)
    labels = make_labeler("dis-flow", reseed_below=0.7, reseed_every=4).label([clip])[0]
    new = labels.queries[:, 0] > 0
    t = labels.queries[new, 0].astype(int)
    before = labels.visibility[np.maximum(t - 2, 0), np.flatnonzero(new)]
    assert before.mean() > 0.5


def test_it_is_off_by_default_and_idle_while_enough_is_visible(moving_plane):
    clip = moving_plane(GRID)
    for options in ({}, {"reseed_below": 0.9}):
        assert len(make_labeler("dis-flow", **options).label([clip])[0].queries) == 64


def labels_visible(counts, total):
    """Labels of `total` standing tracks of which counts[t] are visible in frame t."""
    queries = np.column_stack([np.zeros(total), np.arange(total) * 3, np.full(total, 20)]).astype(np.float32)
    visibility = np.arange(total)[None] < np.array(counts)[:, None]
    return TrackLabels(queries=queries, tracks_px=np.repeat(queries[None, :, 1:], len(counts), 0), visibility=visibility)


def stay(queries, num_frames):
    tracks = np.repeat(queries[None, :, 1:], num_frames, 0)
    return TrackLabels(queries=queries, tracks_px=tracks, visibility=np.ones(tracks.shape[:2], bool))


def test_the_number_is_made_full_at_the_frames_looked_at_and_new_tracks_count_from_then_on():
    grey = np.random.default_rng(0).integers(0, 255, (9, 40, 60)).astype(np.uint8)
    labels = labels_visible([10, 10, 10, 0, 4, 0, 0, 0, 3], total=10)
    result = reseed(labels, ReseedingRule(below=0.5, every=4), track=lambda q: stay(q, 9), grey=grey, key="a")
    # frame 4 shows 4 of 10, below 5: six more, which stay; frame 8 shows 3 + 6
    assert len(result.queries) == 16
    np.testing.assert_array_equal(result.queries[10:, 0], [4] * 6)


def test_the_limit_holds_over_all_frames():
    grey = np.random.default_rng(0).integers(0, 255, (4, 40, 60)).astype(np.uint8)

    def track(queries):
        lost = stay(queries, 4)
        return TrackLabels(queries=queries, tracks_px=lost.tracks_px, visibility=np.zeros((4, len(queries)), bool))

    result = reseed(labels_visible([0] * 4, total=10), ReseedingRule(below=0.5, every=1, limit=2.5), track=track, grey=grey, key="a")
    assert len(result.queries) == 25


def test_new_queries_keep_away_from_visible_tracks():
    free = uncovered_pixels((40, 60), np.array([[10.0, 20.0]]), spacing_px=5)
    y, x = np.nonzero(~free)
    assert 60 < len(x) < 100  # a disc of radius 5
    assert (np.hypot(x - 10, y - 20) < 6).all()
    assert uncovered_pixels((40, 60), np.zeros((0, 2)), spacing_px=5).all()


def test_the_draw_depends_on_the_key():
    grey = np.random.default_rng(0).integers(0, 255, (1, 40, 60)).astype(np.uint8)
    drawn = [
        reseed(labels_visible([2], total=10), ReseedingRule(below=0.5), track=lambda q: stay(q, 1), grey=grey, key=key).queries
        for key in ("a", "a", "b")
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
