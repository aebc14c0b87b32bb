"""One labelled clip through the audit: what is hidden, what is counted, what is kept, and the smallest and largest clips."""

import time
from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.auditing import clip_measures, hide_outside, stored_tracks
from pipeline.audit.records import measure_names
from pipeline.records import TrackLabels
from tests.track_audit import audit_tracks, measure_tracks

SIZE = {"height": 96, "width": 128}


def test_right_labels_are_measured_as_they_are_and_trusted(moving_plane):
    audited = audit_tracks(moving_plane.labels, moving_plane.grey)
    alone = measure_tracks(moving_plane.labels, moving_plane.grey)
    for name, values in audited.measures.items():
        np.testing.assert_array_equal(values, alone.measure(name), err_msg=name)
    assert audited.labels is moving_plane.labels
    assert audited.weights.weight.mean() > 0.9


def test_a_point_visible_outside_the_image_is_counted_and_then_hidden(moving_plane):
    lying = moving_plane.labels.visibility.copy()
    lying[:, 63] = True
    tracks = moving_plane.labels.tracks_px.copy()
    tracks[20:, 63] = 200.0, 50.0
    labels = replace(moving_plane.labels, visibility=lying, tracks_px=tracks)
    audited = audit_tracks(labels, moving_plane.grey)
    np.testing.assert_allclose(audited.measures.oof[63], 4 / 24)
    assert audited.measures.oof[:63].max() == 0.0
    assert audited.measures.len[63] == 20
    assert audited.weights.contract_error.tolist() == [False] * 63 + [True]
    assert audited.weights.weight[63] == 0.0
    assert not audited.labels.visibility[20:, 63].any()
    assert labels.visibility[:, 63].all()  # the input stays


def test_positions_stay_when_visibility_is_cleaned(moving_plane):
    outside = replace(moving_plane.labels, tracks_px=moving_plane.labels.tracks_px - 1000)
    clean = hide_outside(outside, **SIZE)
    assert not clean.visibility.any()
    np.testing.assert_array_equal(clean.tracks_px, outside.tracks_px)


def test_what_is_stored_is_what_was_found(moving_plane):
    audited = audit_tracks(moving_plane.labels, moving_plane.grey)
    kept = stored_tracks(audited, **SIZE)
    np.testing.assert_array_equal(kept.weight, audited.weights.weight)
    assert set(kept.measures) == set(measure_names())
    np.testing.assert_allclose(kept.speed_px, np.hypot(1.0 * 256 / 128, 0.5 * 256 / 96), rtol=1e-5)
    measures = clip_measures(audited, **SIZE)
    assert (measures.num_tracks, measures.usable_tracks) == (64, 64)
    assert measures.visible_share == pytest.approx(audited.labels.visibility.mean())


@pytest.mark.parametrize(("num_frames", "num_tracks"), [(1, 5), (1, 0), (24, 0), (2, 1)])
def test_the_smallest_clips_are_audited_without_a_guess(moving_plane, num_frames, num_tracks):
    whole = moving_plane.labels
    labels = TrackLabels(
        queries=whole.queries[:num_tracks],
        tracks_px=whole.tracks_px[:num_frames, :num_tracks],
        visibility=whole.visibility[:num_frames, :num_tracks],
    )
    audited = audit_tracks(labels, moving_plane.grey[:num_frames])
    assert audited.weights.weight.shape == (num_tracks,)
    assert not audited.weights.weight.any()  # visible in less than three frames
    kept = stored_tracks(audited, **SIZE)
    assert np.isnan(kept.speed_px).all() == (num_frames == 1 or num_tracks == 0)
    assert clip_measures(audited, **SIZE).num_tracks == num_tracks


def test_time_grows_with_the_tracks_and_not_with_their_square(moving_plane):
    def seconds(num_tracks: int) -> float:
        rng = np.random.default_rng(0)
        places = np.column_stack([np.zeros(num_tracks), rng.uniform(5, 90, num_tracks), rng.uniform(5, 75, num_tracks)])
        labels = moving_plane.follow(places)
        started = time.process_time()
        audit_tracks(labels, moving_plane.grey)
        return time.process_time() - started

    seconds(100)
    few, many = seconds(400), seconds(3200)
    assert many < 20 * few  # 8 times as many; by their square it would be 64 times
