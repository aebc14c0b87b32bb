from dataclasses import fields

import numpy as np
import pytest

from pipeline.audit.calibration import Calibration, CalibrationTerm, bad_probability
from pipeline.audit.records import TrackMeasures, measure_names
from pipeline.errors import ConfigError


def measures_of(num_tracks, **known):
    values = {name: np.full(num_tracks, np.nan, np.float32) for name in measure_names()}
    values |= {name: np.array(value, np.float32) for name, value in known.items()}
    return TrackMeasures(**values, ncc=np.ones((4, num_tracks), np.float32), collapse_cluster=np.full(num_tracks, -1, np.int32))


def term(measure, **changes):
    return CalibrationTerm(**{"measure": measure, "transform": "identity", "mean": 0.0, "sd": 1.0, "beta": 1.0, **changes})


def test_the_probability_by_hand():
    calibration = Calibration(
        terms=(
            term("fb_cycle", transform="log", mean=np.log(3), sd=2.0, beta=0.5),
            term("ncc_mean", transform="one-minus", mean=0.2, sd=0.1, beta=2.0),
        ),
        intercept=-1.0,
        version="by-hand",
    )
    measures = measures_of(2, fb_cycle=[0.5, 8.75], ncc_mean=[0.8, 0.7])
    # log(1 + 0.5 / 0.25) = log 3: z = 0; log 36 - log 3 = log 12, half of which is z; (0.3 - 0.2) / 0.1 = 1
    odds = [-1.0, -1.0 + 0.5 * np.log(12) / 2 + 2.0]
    np.testing.assert_allclose(bad_probability(measures, calibration), 1 / (1 + np.exp(-np.array(odds))), rtol=1e-5)


def test_what_is_unknown_neither_helps_nor_harms():
    calibration = Calibration(terms=(term("neigh_max", mean=3.0),), intercept=-2.0, version="v")
    np.testing.assert_allclose(bad_probability(measures_of(1), calibration), 1 / (1 + np.exp(2.0)))


def test_no_single_measure_says_more_than_five_deviations():
    calibration = Calibration(terms=(term("neigh_max"), term("homog_med")), intercept=0.0, version="v")
    measures = measures_of(3, neigh_max=[1e9, -1e9, 0], homog_med=[0, 0, np.inf])
    np.testing.assert_allclose(bad_probability(measures, calibration), 1 / (1 + np.exp([-5.0, 5.0, -5.0])))


def test_a_huge_model_does_not_overflow():
    calibration = Calibration(terms=(term("neigh_max", beta=1e6),), intercept=0.0, version="v")
    with np.errstate(all="raise", under="ignore"):
        found = bad_probability(measures_of(2, neigh_max=[5, -5]), calibration)
    np.testing.assert_array_equal(found, [1, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measure": "colour"}, "there is no measure 'colour'"),
        ({"transform": "square"}, "transform of jump is 'square'"),
        ({"sd": 0.0}, "expected finite numbers and sd > 0"),
        ({"beta": float("nan")}, "expected finite numbers"),
    ],
)
def test_a_term_that_cannot_be_used_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        term("jump", **changes) if "measure" not in changes else term(**changes)


def test_a_measure_may_occur_once():
    with pytest.raises(ConfigError, match="occurs twice"):
        Calibration(terms=(term("jump"), term("jump")), intercept=0.0, version="v")


def test_every_measure_can_be_asked_for_by_name_and_no_other():
    measures = measures_of(1, jump=[3.0])
    assert measures.measure("jump")[0] == 3
    assert len(measure_names()) == len(fields(TrackMeasures)) - 3
    with pytest.raises(ConfigError, match="there is no measure 'ncc'"):
        measures.measure("ncc")
