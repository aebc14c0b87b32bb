import numpy as np
import pytest

from pipeline.audit.calibrating.figures import (
    auroc,
    aurocs_by_clip,
    average_precision,
    brier,
    expected_calibration_error,
    gate_report,
    precision_at_recall,
    reliability,
)

SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
BAD = np.array([True, False, True, True, False, False])


def test_auroc_counts_pairs_and_halves_ties():
    assert auroc(SCORE, BAD) == pytest.approx(7 / 9)  # two of the nine pairs are the wrong way round
    assert auroc(-SCORE, BAD) == pytest.approx(2 / 9)
    assert auroc(np.zeros(6), BAD) == pytest.approx(0.5)
    assert auroc(np.array([1.0, 1.0, 0.0]), np.array([True, False, False])) == pytest.approx(0.75)
    assert np.isnan(auroc(SCORE, np.ones(6, bool)))


def test_clips_of_one_kind_have_no_auroc():
    clip = np.array([0, 0, 0, 7, 7, 9])
    bad = np.array([True, False, True, True, True, False])
    np.testing.assert_allclose(aurocs_by_clip(SCORE, bad, clip), [0.5])


def test_precision_and_recall_by_hand():
    assert average_precision(SCORE, BAD) == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)
    assert precision_at_recall(SCORE, BAD, 0.9) == pytest.approx(3 / 4)
    assert precision_at_recall(SCORE, BAD, 1 / 3) == pytest.approx(1)
    assert average_precision(np.zeros(6), BAD) == pytest.approx(0.5)  # one tie: no order is made up
    assert np.isnan(average_precision(SCORE, np.zeros(6, bool)))


def test_the_calibration_error_by_hand():
    probability, bad = np.array([0.05, 0.15, 0.9, 1.0]), np.array([False, True, True, True])
    bins = reliability(probability, bad, num_bins=5)
    assert [(each.predicted, each.observed, each.num_tracks) for each in bins] == [
        (pytest.approx(0.1), 0.5, 2),
        (pytest.approx(0.95), 1.0, 2),
    ]
    assert expected_calibration_error(bins) == pytest.approx((0.4 * 2 + 0.05 * 2) / 4)
    assert brier(probability, bad) == pytest.approx((0.05**2 + 0.85**2 + 0.1**2) / 4)


def test_a_gate_keeps_what_is_below():
    found = gate_report(np.array([0.1, 0.2, 0.05, 0.9]), np.array([True, True, False, True]), 0.2)
    assert (found.kept_share, found.bad_before, found.bad_after) == (0.5, 0.75, 0.5)
    assert np.isnan(gate_report(np.array([0.9]), np.array([True]), 0.2).bad_after)
