"""Every measure and every reason has words, and the limits that are drawn are those of the rules."""

import numpy as np
import pytest

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.clips.video import VideoMeasures
from pipeline.audit.records import TrackMeasures, measure_names
from pipeline.audit.report.limits import CLIP_COMPARISONS, SCREEN_COMPARISONS, limits_of, reason_evidence
from pipeline.audit.report.wording import CLIP_TEXTS, REASON_SENTENCES, TRACK_TEXTS, measure_text, reason_sentence
from pipeline.audit.verdict import REASONS, ClipRules, ScreenRules
from pipeline.audit.weights import fallback_weight
from tests.unit.pipeline.audit.report.audited import audit_set, clip_measures


def test_every_measure_of_tracks_and_clips_is_explained() -> None:
    assert set(measure_names()) <= set(TRACK_TEXTS)
    assert set(ClipMeasures.__dataclass_fields__) == set(CLIP_TEXTS)
    assert all(text.sentence.endswith(".") for text in (*TRACK_TEXTS.values(), *CLIP_TEXTS.values()))


def test_a_measure_without_words_stands_under_its_name() -> None:
    assert measure_text("brand_new").title == "brand new"


def test_every_reason_has_a_sentence() -> None:
    assert set(REASONS) <= set(REASON_SENTENCES)
    assert reason_sentence("brand_new") == "Brand new."


def test_comparisons_name_measures_and_rules_that_exist() -> None:
    for comparison in CLIP_COMPARISONS.values():
        assert comparison.measure in ClipMeasures.__dataclass_fields__
        assert comparison.rule in ClipRules.__dataclass_fields__
    for comparison in (each for found in SCREEN_COMPARISONS.values() for each in found):
        assert comparison.measure in VideoMeasures.__dataclass_fields__
        assert comparison.rule in ScreenRules.__dataclass_fields__


def test_evidence_names_what_was_measured_and_what_was_expected() -> None:
    rules = {"min_usable_tracks": 64, "survival_4": 0.6}
    common = {"rules": rules, "screen": None, "screen_rules": {}}
    assert reason_evidence("few_tracks", measures=clip_measures(usable_tracks=12), **common) == "usable tracks: 12, expected at least 64"
    found = reason_evidence("low_survival", measures=clip_measures(survival_4=0.455), **common)
    assert found == "tracks that return to their query: 45.5 %, expected at least 60.0 %"
    assert reason_evidence("few_tracks", measures=None, **common) == ""
    assert reason_evidence("low_survival", measures=clip_measures(survival_4=float("nan")), **common) == ""


def test_limits_come_from_the_rules_of_the_audit() -> None:
    lines = limits_of("survival_4", audit_set(rules={"survival_4": 0.7}))
    assert [(line.value, line.meaning) for line in lines] == [(0.7, "below: not kept")]
    assert limits_of("survival_4", audit_set(rules={})) == ()
    assert [line.value for line in limits_of("fb_cycle", audit_set())] == [4.0]
    assert limits_of("fb_cycle", audit_set(weights="calibrated-1")) == ()


@pytest.mark.parametrize(("measure", "value", "weight"), [("fb_cycle", 4.0, 0.5), ("neigh_max", 8.0, 0.5), ("ncc_mean", 0.3, 0.05)])
def test_limits_of_the_fallback_say_what_its_formula_does(measure: str, value: float, weight: float) -> None:
    assert limits_of(measure, audit_set())[0].value == value
    known = {name: np.full(1, np.nan, np.float32) for name in measure_names()} | {measure: np.full(1, value, np.float32)}
    measures = TrackMeasures(**known, ncc=np.zeros((2, 1), np.float32), collapse_cluster=np.full(1, -1, np.int32))
    np.testing.assert_allclose(fallback_weight(measures), [weight], rtol=1e-6)
