from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.tracks.appearance import appearance, texture
from pipeline.records import TrackLabels


def test_a_right_track_looks_like_its_query_throughout(moving_plane):
    looks = appearance(moving_plane.labels, moving_plane.grey)
    assert looks.ncc_min.min() > 0.97
    assert looks.ncc_step_min.min() > 0.97


def test_light_that_changes_evenly_changes_nothing(moving_plane):
    gain = np.linspace(0.9, 0.5, 24)[:, None, None]
    dimmed = (moving_plane.grey * gain + 20).astype(np.uint8)
    assert appearance(moving_plane.labels, dimmed).ncc_min.min() > 0.97


def test_only_visible_frames_are_looked_at(moving_plane):
    tracks, seen = moving_plane.labels.tracks_px.copy(), moving_plane.labels.visibility.copy()
    tracks[10, 0] += 15
    wrong = replace(moving_plane.labels, tracks_px=tracks)
    seen[10, 0] = False
    looks, masked = appearance(wrong, moving_plane.grey), appearance(replace(wrong, visibility=seen), moving_plane.grey)
    assert looks.ncc[10, 0] < 0.6
    assert np.isnan(masked.ncc[10, 0])
    assert masked.ncc_min[0] > 0.97
    assert looks.ncc_step_min[0] < 0.6
    assert masked.ncc_step_min[0] > 0.97


def test_an_inverted_picture_is_the_opposite():
    noise = np.random.default_rng(0).integers(60, 200, (40, 40))
    grey = np.stack([noise, 255 - noise, noise]).astype(np.uint8)
    from_labels = _standing(3)
    looks = appearance(from_labels, grey)
    np.testing.assert_allclose(looks.ncc[:, 0], [1, -1, 1], atol=1e-3)
    assert looks.ncc_mean[0] == pytest.approx(0, abs=1e-3)
    assert looks.ncc_step_min[0] == pytest.approx(-1, abs=1e-3)


def test_a_flat_query_says_nothing_and_a_flat_place_is_unlike():
    noise = np.random.default_rng(0).integers(60, 200, (40, 40)).astype(np.uint8)
    flat = np.full((40, 40), 90, np.uint8)
    assert np.isnan(appearance(_standing(2), np.stack([flat, noise])).ncc_mean[0])
    looks = appearance(_standing(2), np.stack([noise, flat]))
    assert looks.ncc_mean[0] == pytest.approx(0, abs=1e-3)
    assert np.isnan(looks.ncc_step_min[0])


def test_many_tracks_are_worked_on_in_parts(moving_plane):
    rows = np.arange(4200) % 64
    labels = moving_plane.labels
    many = replace(labels, queries=labels.queries[rows], tracks_px=labels.tracks_px[:2, rows], visibility=labels.visibility[:2, rows])
    few = appearance(replace(labels, tracks_px=labels.tracks_px[:2], visibility=labels.visibility[:2]), moving_plane.grey[:2])
    np.testing.assert_array_equal(appearance(many, moving_plane.grey[:2]).ncc_mean, few.ncc_mean[rows])


def test_texture_is_that_of_the_querys_frame(moving_plane):
    flat = np.full((96, 128), 90, np.uint8)
    grey = np.stack([moving_plane.grey[0], *([flat] * 23)])
    queries = moving_plane.labels.queries.copy()
    queries[1, 0] = 5
    strength = texture(replace(moving_plane.labels, queries=queries), grey)
    assert strength[0] > 1e-4
    assert strength[1] == 0


def _standing(num_frames):
    return TrackLabels(
        queries=np.array([[0, 20, 20]], np.float32),
        tracks_px=np.full((num_frames, 1, 2), 20, np.float32),
        visibility=np.ones((num_frames, 1), bool),
    )
