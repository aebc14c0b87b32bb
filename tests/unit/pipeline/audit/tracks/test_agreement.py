from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.tracks.agreement import agreement
from pipeline.errors import DataError

SIZE = {"height": 96, "width": 128}


def rows_of(labels, rows):
    return replace(labels, queries=labels.queries[rows], tracks_px=labels.tracks_px[:, rows], visibility=labels.visibility[:, rows])


def test_a_set_agrees_with_itself(moving_plane):
    found = agreement(moving_plane.labels, moving_plane.labels, **SIZE)
    np.testing.assert_array_equal(found.disagree_max, 0)
    np.testing.assert_array_equal(found.agree_aj, 1)
    np.testing.assert_array_equal(found.visible_iou, 1)


def test_tracks_are_matched_by_their_queries_not_by_their_order(moving_plane):
    found = agreement(moving_plane.labels, rows_of(moving_plane.labels, np.arange(40)[::-1]), **SIZE)
    np.testing.assert_array_equal(found.disagree_max[:40], 0)
    assert np.isnan(found.disagree_max[40:]).all()
    assert np.isnan(found.agree_aj[40:]).all()


def test_distances_and_shares_by_hand(moving_plane):
    tracks, seen = moving_plane.labels.tracks_px.copy(), moving_plane.labels.visibility.copy()
    tracks[1:, 0, 0] += 1.5  # 3 px of the raster: beyond the thresholds 1 and 2, within 4, 8, 16
    tracks[23, 0, 0] += 2.0
    seen[12:, 1] = False
    other = replace(moving_plane.labels, tracks_px=tracks, visibility=seen)
    found = agreement(moving_plane.labels, other, **SIZE)
    assert found.disagree_median[0] == pytest.approx(3, abs=1e-4)
    assert found.disagree_max[0] == pytest.approx(7, abs=1e-4)
    # 22 of 23 frames within 4 px and 23 within 8 and 16, a miss being both a false positive and a false negative
    assert found.agree_aj[0] == pytest.approx((0 + 0 + 22 / 24 + 1 + 1) / 5, abs=1e-6)
    assert found.visible_iou[1] == pytest.approx(0.5)
    assert found.agree_aj[1] == pytest.approx(11 / 23, abs=1e-6)


def test_agreement_is_symmetric(moving_plane):
    tracks = moving_plane.labels.tracks_px + np.random.default_rng(0).normal(0, 3, (24, 64, 2)).astype(np.float32)
    seen = np.random.default_rng(1).uniform(size=(24, 64)) < 0.7
    other = replace(moving_plane.labels, tracks_px=tracks, visibility=seen)
    there, back = agreement(moving_plane.labels, other, **SIZE), agreement(other, moving_plane.labels, **SIZE)
    np.testing.assert_allclose(there.agree_aj, back.agree_aj)
    np.testing.assert_allclose(there.disagree_median, back.disagree_median)


def test_labels_of_another_clip_are_refused(moving_plane):
    other = replace(moving_plane.labels, tracks_px=moving_plane.labels.tracks_px[:20], visibility=moving_plane.labels.visibility[:20])
    with pytest.raises(DataError, match="has 20 frames, this one 24"):
        agreement(moving_plane.labels, other, **SIZE)
