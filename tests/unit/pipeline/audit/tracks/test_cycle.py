from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.tracks.cycle import cycle_measures, cycle_queries, survival
from pipeline.errors import DataError

SIZE = {"height": 96, "width": 128}


def back_of(clip, labels):
    return clip.follow_reversed(cycle_queries(labels, **SIZE))


def test_the_way_back_starts_where_a_track_was_last_seen(moving_plane):
    labels = moving_plane.labels
    seen = labels.visibility.copy()
    seen[20:, 3] = False
    seen[:, 4] = False  # never seen: starts at its query, to no purpose
    starts = cycle_queries(replace(labels, visibility=seen), **SIZE)
    x, y = labels.queries[3, 1:]
    np.testing.assert_allclose(starts[3], [23 - 19, x + 19, y + 9.5])
    np.testing.assert_allclose(starts[4], [23, *labels.queries[4, 1:]])
    assert starts.dtype == np.float32


def test_a_track_followed_backwards_only_is_followed_forwards(moving_plane):
    labels = moving_plane.follow([[23, 60, 60]])
    np.testing.assert_allclose(cycle_queries(labels, **SIZE), [[23, 60 - 23, 60 - 11.5]])
    measures = cycle_measures(labels, back_of(moving_plane, labels), **SIZE)
    assert measures.fb_cycle[0] == pytest.approx(0, abs=1e-4)


def test_right_tracks_come_back(moving_plane):
    measures = cycle_measures(moving_plane.labels, back_of(moving_plane, moving_plane.labels), **SIZE)
    np.testing.assert_allclose(measures.fb_cycle, 0, atol=1e-4)
    np.testing.assert_allclose(measures.fb_all, 0, atol=1e-4)
    np.testing.assert_array_equal(measures.fb_agree, 1)


def test_a_drifting_track_comes_back_beside_its_query(moving_plane):
    labels = moving_plane.labels
    tracks = labels.tracks_px.copy()
    tracks[:, 5, 0] += 0.1 * np.arange(24)  # 0.2 px of the raster per frame
    drifted = replace(labels, tracks_px=tracks)
    measures = cycle_measures(drifted, back_of(moving_plane, drifted), **SIZE)
    assert measures.fb_cycle[5] == pytest.approx(4.6, abs=1e-3)  # 23 frames of 0.2 px
    assert measures.fb_all[5] == pytest.approx(0.2 * 23 * 0.5 + 0.1, abs=1e-3)  # mean of 4.6, 4.4, ..., 0.2
    assert np.delete(measures.fb_cycle, 5).max() < 1e-3


def test_both_directions_are_compared_in_what_they_call_visible(moving_plane):
    back = back_of(moving_plane, moving_plane.labels)
    seen = back.visibility.copy()
    seen[-6:, 0] = False  # the frames 0 to 5 of the clip, in which the labels see the point; 23 frames are compared
    measures = cycle_measures(moving_plane.labels, replace(back, visibility=seen), **SIZE)
    assert measures.fb_agree[0] == pytest.approx(17 / 23)
    assert measures.fb_agree[1] == 1


def test_a_track_that_is_seen_at_its_query_only_says_nothing(moving_plane):
    seen = moving_plane.labels.visibility.copy()
    seen[1:, 2] = False
    labels = replace(moving_plane.labels, visibility=seen)
    measures = cycle_measures(labels, back_of(moving_plane, labels), **SIZE)
    assert np.isnan([measures.fb_cycle[2], measures.fb_all[2], measures.fb_agree[2]]).all()


def test_a_way_back_from_elsewhere_is_refused(moving_plane):
    with pytest.raises(DataError, match="did not begin where the tracks end"):
        cycle_measures(moving_plane.labels, moving_plane.labels, **SIZE)
    with pytest.raises(DataError, match=r"the way back is \[24, 1\]"):
        cycle_measures(moving_plane.labels, moving_plane.follow([[0, 5, 5]]), **SIZE)


def test_survival_is_of_the_tracks_that_are_known():
    assert survival(np.array([0.5, 4.0, 4.1, np.nan]), 4) == pytest.approx(2 / 3)
    assert np.isnan(survival(np.array([np.nan]), 4))
