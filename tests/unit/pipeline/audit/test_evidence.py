"""Each value of a track reaches the place where its clip is judged by it."""

import numpy as np
import pytest

from pipeline.audit.auditing import track_evidence
from pipeline.audit.records import TrackMeasures, TrackWeights, measure_names


def measures_of(**values: list[float]) -> TrackMeasures:
    unknown = {name: np.full(2, np.nan, np.float32) for name in measure_names()}
    given = {name: np.array(value, np.float32) for name, value in values.items()}
    return TrackMeasures(**{**unknown, **given}, ncc=np.zeros((3, 2), np.float32), collapse_cluster=np.full(2, -1, np.int32))


@pytest.mark.parametrize("calibrated", [True, False])
def test_every_value_has_its_place(calibrated):
    measures = measures_of(fb_cycle=[1, 2], flicker=[3, 4], static_stick=[0, 1], static_score=[0.25, 0.75], collapse=[1, 1])
    weights = TrackWeights(
        weight=np.ones(2, np.float32),
        bad_probability=np.array([0.5, 0.125], np.float32) if calibrated else None,
        contract_error=np.zeros(2, bool),
        collapsed=np.array([False, True]),
        version="test",
    )
    evidence = track_evidence(measures, weights)
    assert (evidence.cycle_px.tolist(), evidence.flicker.tolist()) == ([1, 2], [3, 4])
    assert (evidence.stuck.tolist(), evidence.static_score.tolist()) == ([0, 1], [0.25, 0.75])
    assert evidence.collapsed.tolist() == [0, 1]  # of a pair that runs together the better one stays
    assert (evidence.bad_probability is not None) == calibrated
