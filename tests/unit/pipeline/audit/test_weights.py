from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.calibration import Calibration, CalibrationTerm
from pipeline.audit.records import TrackMeasures, measure_names
from pipeline.audit.weights import FALLBACK_VERSION, fallback_weight, frame_weights, track_weights
from pipeline.errors import DataError
from pipeline.records import TrackLabels


def measures_of(num_tracks, *, cluster=None, ncc=None, **known):
    values = {name: np.full(num_tracks, np.nan, np.float32) for name in measure_names()}
    values |= {name: np.array(value, np.float32) for name, value in {"len": [24] * num_tracks, "oof": [0] * num_tracks, **known}.items()}
    return TrackMeasures(
        **values,
        ncc=np.ones((4, num_tracks), np.float32) if ncc is None else np.array(ncc, np.float32),
        collapse_cluster=np.array([-1] * num_tracks if cluster is None else cluster, np.int32),
    )


def labels_of(seen, **changes):
    seen = np.array(seen, bool)
    queries = np.zeros((seen.shape[1], 3), np.float32)
    return TrackLabels(queries=queries, tracks_px=np.zeros((*seen.shape, 2), np.float32), visibility=seen, **changes)


def test_the_fallback_by_hand():
    measures = measures_of(4, fb_cycle=[4, np.nan, 0, np.nan], neigh_max=[8, 8, 16, np.nan], ncc_mean=[0.5, 0.9, 0.1, np.nan])
    np.testing.assert_allclose(fallback_weight(measures), [0.5 * 0.5 * 0.5, 0.5, 0.05 / 17, 1], rtol=1e-6)
    weights = track_weights(measures)
    np.testing.assert_allclose(weights.weight, fallback_weight(measures), rtol=1e-6)
    assert weights.version == FALLBACK_VERSION
    assert weights.bad_probability is None


def test_with_a_calibration_the_weight_is_what_is_left_of_the_probability():
    term = CalibrationTerm(measure="neigh_max", transform="identity", mean=0.0, sd=1.0, beta=1.0)
    calibration = Calibration(terms=(term,), intercept=0.0, version="mine-1")
    weights = track_weights(measures_of(2, neigh_max=[0, np.log(3)]), calibration)
    np.testing.assert_allclose(weights.bad_probability, [0.5, 0.75], rtol=1e-6)
    np.testing.assert_allclose(weights.weight, [0.5, 0.25], rtol=1e-6)
    assert weights.version == "mine-1"


def test_short_tracks_count_less_and_the_shortest_not_at_all():
    np.testing.assert_allclose(track_weights(measures_of(6, len=[0, 2, 3, 4, 8, 20])).weight, [0, 0, 3 / 8, 0.5, 1, 1])


def test_a_track_that_is_visible_outside_the_image_counts_nothing():
    weights = track_weights(measures_of(3, oof=[0, 0.04, np.nan]))
    np.testing.assert_array_equal(weights.weight, [1, 0, 1])
    np.testing.assert_array_equal(weights.contract_error, [False, True, False])


def test_of_a_collapsed_cluster_the_best_member_is_kept():
    measures = measures_of(6, cluster=[0, 0, 0, -1, 1, 1], neigh_max=[8, 2, 4, 8, 3, 3])
    weights = track_weights(measures)
    np.testing.assert_array_equal(weights.collapsed, [True, False, True, False, False, True])
    np.testing.assert_array_equal(weights.weight > 0, [False, True, False, True, True, False])


def test_the_weight_of_a_frame_by_hand():
    measures = measures_of(2, ncc=[[1, 0.4], [0.1, np.nan], [0.6, -1], [1, 1]])
    weights = replace(track_weights(measures), weight=np.array([0.8, 0.5], np.float32))
    labels = labels_of([[1, 1], [1, 1], [1, 1], [0, 1]])
    expected = np.array([[0.8, 0.25], [0.08, 0.5], [0.8, 0.05], [0, 0.5]])
    np.testing.assert_allclose(frame_weights(labels, ncc=measures.ncc, weight=weights.weight), expected, rtol=1e-5)
    sure = np.full((4, 2), 0.5, np.float32)
    unsure = frame_weights(replace(labels, confidence=sure), ncc=measures.ncc, weight=weights.weight)
    np.testing.assert_allclose(unsure, expected / 2, rtol=1e-5)


def test_weights_of_another_clip_are_refused():
    measures = measures_of(2)
    with pytest.raises(DataError, match="not of one clip"):
        frame_weights(labels_of(np.ones((4, 3))), ncc=measures.ncc, weight=track_weights(measures).weight)
