"""Comparisons of audits of two labelers: numbers that mean something else on either side fail nothing."""

import numpy as np

from pipeline.audit.comparing.comparison import MEASURES, PairedCounts, compare_audits
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.sums import measure_edges


def audit_set(name, labeler, weights):
    empty = {"checkpoint_sha256": None, "measures": "1", "rules": {}, "screen": None, "calibration": None}
    return AuditSet(name=name, label_set=name, labeler=labeler, cycle="none", weights=weights, **empty)


def all_moved():
    """A thousand values of every measure: in its first bin before, in its last bin after."""
    counts = PairedCounts()
    sides = [{}, {}]
    for measure in MEASURES:
        for side, place in zip(sides, (0, -2), strict=True):
            side[measure] = np.zeros(len(measure_edges(measure)), np.int64)
            side[measure][place] = 2000
    counts.add_clip("still", *sides)
    return counts


def failing(first, second):
    found = compare_audits((first, second), all_moved(), [], relation="upgrade")
    return {row.measure for row in found.rows if row.level == "fail"}, {row.measure: row for row in found.rows}


def test_of_one_labeler_every_measure_that_moved_fails():
    fails, _ = failing(audit_set("a", "dis-flow", "fitted"), audit_set("b", "dis-flow", "fallback-1"))
    assert {"weight", "bad_probability", "vis_conf", "neigh_max"} <= fails


def test_of_two_labelers_confidence_and_weights_of_different_rules_warn():
    fails, rows = failing(audit_set("a", "dis-flow", "fitted"), audit_set("b", "refined-flow", "fallback-1"))
    assert not {"weight", "bad_probability", "vis_conf"} & fails
    assert "neigh_max" in fails
    assert rows["weight"].level == "warn"
    assert rows["weight"].note.endswith("of two labelers, so it fails nothing")


def test_of_two_labelers_weights_of_one_rule_fail():
    fails, _ = failing(audit_set("a", "dis-flow", "fallback-1"), audit_set("b", "refined-flow", "fallback-1"))
    assert {"weight", "bad_probability"} <= fails
    assert "vis_conf" not in fails
