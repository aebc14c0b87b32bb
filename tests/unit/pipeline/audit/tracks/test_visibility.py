from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.tracks.visibility import visibility_measures
from pipeline.records import TrackLabels


def labels_of(*patterns):
    seen = np.array([[letter == "v" for letter in pattern] for pattern in patterns]).T
    queries = np.tile(np.array([0, 5, 5], np.float32), (len(patterns), 1))
    return TrackLabels(queries=queries, tracks_px=np.full((*seen.shape, 2), 5, np.float32), visibility=seen)


def measures_of(labels):
    return visibility_measures(labels, height=10, width=10)


def test_length_coverage_and_longest_run_by_hand():
    measures = measures_of(labels_of("vv.vvv.v", "........", "vvvvvvvv"))
    np.testing.assert_allclose(measures.len, [6, 0, 8])
    np.testing.assert_allclose(measures.cover, [0.75, 0, 1])
    np.testing.assert_allclose(measures.longest_run, [3 / 8, 0, 1])


def test_flicker_counts_changes_between_the_first_and_the_last_visible_frame():
    measures = measures_of(labels_of("v.v.v.v.", "..vvvv..", "...v....", "........", ".v...v.."))
    np.testing.assert_allclose(measures.flicker, [1, 0, np.nan, np.nan, 0.5])


def test_positions_outside_the_image_count_only_where_called_visible():
    labels = labels_of("vvvv", "vv..", "....")
    tracks = labels.tracks_px.copy()
    tracks[2:, :2, 0] = 9.6  # the image ends at 9.5
    measures = measures_of(replace(labels, tracks_px=tracks))
    np.testing.assert_allclose(measures.oof, [0.5, 0, np.nan])


def test_the_very_edge_of_the_image_is_inside():
    labels = labels_of("vv")
    assert measures_of(replace(labels, tracks_px=np.array([[[-0.5, 9.5]], [[9.5, -0.5]]], np.float32))).oof[0] == 0


def test_confidence_is_averaged_where_visible_and_unknown_where_absent():
    labels = labels_of("vv..")
    confidence = np.array([[0.5], [0.7], [0.1], [0.1]], np.float32)
    assert measures_of(replace(labels, confidence=confidence)).vis_conf[0] == pytest.approx(0.6)
    assert np.isnan(measures_of(labels).vis_conf[0])
