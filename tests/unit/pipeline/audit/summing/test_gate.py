"""The gate, rule by rule, on both sides of each limit."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.gate import check_gate, drift_rows
from pipeline.audit.summing.records import AuditSummary, WeightMass
from pipeline.audit.summing.shard_sum import sum_clips
from pipeline.audit.summing.sums import SPEED_THIRDS, summary_of
from pipeline.audit.verdict import ClipRules
from tests.audited_clips import clip_of, tracks_of

AUDIT = AuditSet(
    name="judged", label_set="set", labeler="dis-flow", checkpoint_sha256=None, measures="tracks-1", weights="fallback-1", rules={},
    screen=None, calibration={"labeler": "dis-flow"}, cycle="none",
)  # fmt: skip
GOOD = summary_of(sum_clips(0, [clip_of(f"c{place}", seed=place) for place in range(4)], ClipRules()))


def with_clips(**decisions: int) -> AuditSummary:
    return replace(GOOD, decisions={"keep": 0, "quarantine": 0, "drop": 0, "error": 0, **decisions})


def broken(summary: AuditSummary, audit: AuditSet = AUDIT, **arguments) -> list[tuple[str, bool]]:
    """(rule, whether it blocks) of the rules that do not hold."""
    return [(check.rule, check.blocks) for check in check_gate(summary, audit, **arguments).checks if not check.holds]


@pytest.mark.parametrize(
    ("decisions", "rule"),
    [
        ({"keep": 75, "quarantine": 25}, None),
        ({"keep": 74, "quarantine": 26}, "at most 25% of the clips are in quarantine"),
        ({"keep": 1000, "error": 1}, "no clip is in error"),
        ({"drop": 10}, "at least one clip is kept"),
        ({"keep": 1, "drop": 99}, None),
    ],
)
def test_shares_of_the_clips(decisions, rule):
    found = check_gate(with_clips(**decisions), AUDIT)
    assert [check.rule for check in found.checks if not check.holds] == ([rule] if rule else [])
    assert found.passes == (rule is None)


def test_what_was_found_is_said_in_numbers():
    values = {check.rule: check.value for check in check_gate(with_clips(keep=74, quarantine=26), AUDIT).checks}
    assert values["at most 25% of the clips are in quarantine"] == "26.0% (26 of 100)"


def test_without_a_calibration_a_warning_is_given_and_nothing_blocked():
    found = check_gate(GOOD, replace(AUDIT, calibration=None))
    assert found.passes
    assert broken(GOOD, replace(AUDIT, calibration=None)) == [("weights come from a calibration of this labeler", False)]


@pytest.mark.parametrize(("loss", "holds"), [(0.049, True), (0.051, False), (-0.2, True)])
def test_the_mean_weight_may_fall_by_a_twentieth(loss, holds):
    baseline = replace(GOOD, weight_sum=GOOD.weight_sum + loss * GOOD.num_tracks)
    found = check_gate(GOOD, AUDIT, baseline=baseline)
    assert found.passes == holds
    assert ("the mean weight of a track is at most 0.05 below the baseline's", True) not in broken(GOOD, baseline=baseline) or not holds


def test_fast_tracks_that_lose_their_weight_are_a_warning():
    def with_masses(fast: float) -> AuditSummary:
        weights = (80.0, 60.0, fast)
        return replace(
            GOOD, masses=tuple(WeightMass(group=g, num_tracks=100, weight=w) for g, w in zip(SPEED_THIRDS, weights, strict=True))
        )

    rule = "the fastest third of the tracks has at least 50% of the slowest third's mean weight"
    assert broken(with_masses(40.0)) == []
    assert broken(with_masses(39.0)) == [(rule, False)]


def test_drift_blocks_and_names_the_measure():
    def of_likeness(likeness: float) -> AuditSummary:
        rng = np.random.default_rng(0)
        tracks = tracks_of(num_tracks=2000)
        measures = {**tracks.measures, "ncc_mean": np.clip(rng.normal(likeness, 0.1, 2000), -1, 1).astype(np.float32)}
        return summary_of(sum_clips(0, [clip_of("c", tracks=replace(tracks, measures=measures))], ClipRules()))

    before, after = of_likeness(0.9), of_likeness(0.5)
    assert broken(before, baseline=before, drift=drift_rows(before, before)) == []
    found = check_gate(after, AUDIT, baseline=before, drift=drift_rows(before, after))
    assert not found.passes
    (failing,) = [check for check in found.checks if check.blocks and not check.holds]
    assert failing.value.startswith("ncc_mean (PSI ")
