from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.comparing.canary import canary_clip, canary_report, candidates, relation
from pipeline.audit.comparing.records import DriftRules
from pipeline.records import LabelSet, TrackLabels

RULES = DriftRules()


def labels(*, shift: float = 0.0, first_query: float = 20.0) -> TrackLabels:
    """Four tracks over six frames on a 256 x 256 clip, all visible; from frame 1 on moved by `shift` pixels to the right."""
    x = first_query + 40.0 * np.arange(4)
    tracks = np.stack([np.stack([x, np.full(4, 50.0)], axis=-1)] * 6)
    tracks[1:, :, 0] += shift
    queries = np.column_stack([np.zeros(4), x, np.full(4, 50.0)])
    return TrackLabels(queries=queries.astype(np.float32), tracks_px=tracks.astype(np.float32), visibility=np.ones((6, 4), bool))


def clip(shift: float = 0.0, first_query: float = 20.0):
    return canary_clip("k", labels(), labels(shift=shift, first_query=first_query), height=256, width=256)


def test_equal_labels_agree_wholly():
    same = clip()
    assert (same.num_paired, same.agree_aj, same.displacement_px, same.visible_iou) == (4, 1.0, 0.0, 1.0)


def test_a_shift_of_three_pixels_is_within_three_of_five_thresholds():
    """Beyond 1 and 2 px every point is a false positive and a false negative at once; within 4, 8 and 16 px all are right."""
    moved = clip(shift=3.0)
    assert moved.displacement_px == pytest.approx(3.0, abs=1e-4)
    assert moved.agree_aj == pytest.approx(3 / 5)


def test_sets_without_a_common_query_get_no_number():
    other = clip(first_query=21.0)
    assert other.num_paired == 0
    report = canary_report("upgrade", [other], RULES)
    assert np.isnan(report.agree_aj)
    assert (report.level, report.num_paired) == ("fine", 0)
    assert "share no query" in report.note


def test_a_rerun_must_agree_better_than_an_upgrade():
    clips = [clip(), replace(clip(), key="worst", agree_aj=0.8)]
    rerun, upgrade = (canary_report(kind, clips, RULES) for kind in ("rerun", "upgrade"))
    assert rerun.agree_aj == pytest.approx(0.9)
    assert (rerun.level, upgrade.level) == ("fail", "fine")
    assert "below the 0.98 of a rerun; worst worst (0.800)" in rerun.note


def test_the_choice_depends_on_the_keys_alone():
    keys = [f"clip-{number}" for number in range(50)]
    chosen = [each.key for each in candidates(keys, 0, 8)]
    assert chosen == [each.key for each in candidates(keys[::-1], 0, 8)]
    fewer = [each.key for each in candidates([key for key in keys if key != chosen[3]], 0, 7)]
    assert fewer == [key for key in chosen if key != chosen[3]]
    assert chosen != sorted(chosen)


def label_set(labeler: str = "dis-flow", **configuration: object) -> LabelSet:
    return LabelSet(labeler=labeler, configuration={"options": {"preset": "fast"}, **configuration})


def test_what_does_not_move_the_tracks_makes_a_rerun():
    assert relation(label_set(), label_set()) == "same labels"
    assert relation(label_set(), label_set(screen={"rules": 1})) == "rerun"
    assert relation(label_set(), label_set(queries={"policy": "sift"})) == "upgrade"
    assert relation(label_set(), label_set("lucas-kanade")) == "upgrade"
    assert relation(label_set(), replace(label_set(), checkpoint_sha256="ab")) == "upgrade"
