"""The two drifts that are added up step by step, on a plane whose motion is known in closed form."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.audit.tracks.flow_drift import flow_drift
from pipeline.audit.tracks.realign import realignment

SLIDING, STEP_PX = 27, 0.2  # a track in the middle of the grid slides by so much per frame to the right of its point: 0.4 px of the raster
LIMITS_PX = {"realign": 0.4, "flow": 2.0}  # unrefined flow is off by a twentieth of a pixel and more, always the same way
NAMES = ("realign_mean", "realign_max", "flow_drift_mean", "flow_drift_max")


def measured(labels, grey):
    short, flow = realignment(labels, grey), flow_drift(labels, grey)
    return {
        "realign_mean": short.realign_mean,
        "realign_max": short.realign_max,
        "realign_long_mean": short.realign_long_mean,
        "realign_long_max": short.realign_long_max,
        "flow_drift_mean": flow.flow_drift_mean,
        "flow_drift_max": flow.flow_drift_max,
    }


def sliding(labels, start=0):
    tracks = labels.tracks_px.copy()
    tracks[start:, SLIDING, 0] += STEP_PX * np.arange(len(tracks) - start)
    return replace(labels, tracks_px=tracks)


def inner(labels):
    """Tracks that stay 12 px inside the image."""
    x, y = labels.tracks_px[..., 0], labels.tracks_px[..., 1]
    return np.flatnonzero(((x > 12) & (x < 115) & (y > 12) & (y < 83)).all(axis=0))


def test_right_tracks_hardly_drift(moving_plane):
    found = measured(moving_plane.labels, moving_plane.grey)
    rows = inner(moving_plane.labels)
    assert len(rows) > 10
    for name, values in found.items():
        assert np.median(values[rows]) < LIMITS_PX[name.split("_")[0]], (name, np.median(values[rows]))


def test_a_slow_slide_adds_up_to_its_length(moving_plane):
    found = measured(sliding(moving_plane.labels), moving_plane.grey)
    frames = np.arange(1, 24)
    for name in NAMES:
        expected = 0.4 * (frames.mean() if "mean" in name else frames.max())
        assert found[name][SLIDING] == pytest.approx(expected, rel=0.25), name
    assert found["realign_long_max"][SLIDING] == pytest.approx(0.4 * 20, rel=0.25)  # the last step of four frames ends in frame 20
    others = np.setdiff1d(inner(moving_plane.labels), [SLIDING])
    assert np.median(found["realign_max"][others]) < 0.5


def test_drift_counts_from_the_query_in_both_directions(moving_plane):
    labels = sliding(moving_plane.labels)
    middle = labels.queries.copy()
    middle[SLIDING] = (12, *labels.tracks_px[12, SLIDING])
    found = measured(replace(labels, queries=middle), moving_plane.grey)
    for name in ("realign_max", "flow_drift_max"):
        assert found[name][SLIDING] == pytest.approx(0.4 * 12, rel=0.25), name


def test_what_is_hidden_adds_nothing(moving_plane):
    labels = sliding(moving_plane.labels, start=12)
    seen = labels.visibility.copy()
    seen[13:, SLIDING] = False
    found = measured(replace(labels, visibility=seen), moving_plane.grey)
    assert all(found[name][SLIDING] < 0.8 for name in NAMES)


def test_a_track_seen_at_its_query_alone_is_unknown(moving_plane):
    seen = moving_plane.labels.visibility.copy()
    seen[1:, 3] = False
    found = measured(replace(moving_plane.labels, visibility=seen), moving_plane.grey)
    assert all(np.isnan(values[3]) for values in found.values())


def test_one_frame_and_no_track_are_no_error(moving_plane):
    labels = moving_plane.labels
    one = replace(labels, tracks_px=labels.tracks_px[:1], visibility=labels.visibility[:1])
    assert all(np.isnan(values).all() for values in measured(one, moving_plane.grey[:1]).values())
    none = replace(labels, tracks_px=labels.tracks_px[:, :0], visibility=labels.visibility[:, :0], queries=labels.queries[:0])
    assert all(values.shape == (0,) for values in measured(none, moving_plane.grey).values())


def test_large_frames_are_shrunk_and_tiny_ones_tell_nothing(moving_plane):
    wide = np.stack([cv2.resize(image, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC) for image in moving_plane.grey[:6]])
    labels = moving_plane.labels
    grown = replace(
        labels,
        tracks_px=(labels.tracks_px[:6] + 0.5) * 5 - 0.5,
        visibility=labels.visibility[:6],
        queries=labels.queries * np.float32([1, 5, 5]) + np.float32([0, 2, 2]),
    )
    found = flow_drift(grown, wide)
    assert np.median(found.flow_drift_max[inner(labels)]) < 0.6
    assert np.isnan(flow_drift(labels, moving_plane.grey[:, :12]).flow_drift_max).all()
