"""Limits of the measures, for people."""

import numpy as np
import pytest

from pipeline.audit.records import measure_names
from pipeline.audit.tracks.thresholds import THRESHOLDS, Threshold
from pipeline.errors import ConfigError


def test_every_measure_has_a_plain_sentence_and_no_other_has():
    assert set(THRESHOLDS) == set(measure_names())
    assert [each.meaning for each in THRESHOLDS.values() if not each.meaning.endswith(".") or ". " in each.meaning] == []


def test_the_limit_itself_and_the_unknown_are_not_suspicious():
    values = np.array([1.9, 2.0, 2.1, np.nan])
    above, below = (Threshold(limit=2.0, side=side, meaning="A distance.") for side in ("above", "below"))
    assert above.suspicious(values).tolist() == [False, False, True, False]
    assert below.suspicious(values).tolist() == [True, False, False, False]


def test_a_fact_is_never_suspicious():
    assert not Threshold(limit=0.5, side="neither", meaning="A fact.").suspicious(np.array([0.0, 1.0])).any()
    assert not Threshold(limit=None, side="neither", meaning="A fact.").suspicious(np.array([0.0, 1.0])).any()


@pytest.mark.parametrize(
    "wrong", [{"limit": None, "side": "above"}, {"limit": 1.0, "side": "left"}, {"limit": 1.0, "side": "above", "meaning": ""}]
)
def test_a_limit_without_a_side_or_a_meaning_is_refused(wrong):
    with pytest.raises(ConfigError, match="threshold"):
        Threshold(**{"meaning": "A fact.", **wrong})
