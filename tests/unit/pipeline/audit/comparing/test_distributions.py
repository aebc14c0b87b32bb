"""Counting two audits that lie on disk."""

from dataclasses import fields

import numpy as np
import pytest

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.clips.video import VideoMeasures
from pipeline.audit.comparing.comparison import compare_audits, count_shard, merge_counts
from pipeline.audit.comparing.records import ALL_CLIPS
from pipeline.audit.records import measure_names
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.stored.clip_audit import ClipAudit, TrackAudit
from pipeline.audit.stored.screen import ScreenRow, write_screen
from pipeline.audit.verdict import verdict_of
from tests.audited_clips import write_audit_shard

N = 150


def measured(key: str, *, sha256: str = "ab" * 32, neigh_max: float = 0.5, weight: float = 0.9) -> ClipAudit:
    """A clip of 150 tracks over 4 frames, of which a few measures are known."""
    unknown = np.full(N, np.nan, np.float32)
    spread = np.linspace(0.5, 1.5, N).astype(np.float32)
    measures = dict.fromkeys(measure_names(), unknown) | {"neigh_max": neigh_max * spread, "len": np.full(N, 4, np.float32)}
    counts = {field.name: (N if field.type is int else 0.5) for field in fields(ClipMeasures)}
    tracks = TrackAudit(
        queries=np.zeros((N, 3), np.float32),
        weight=np.full(N, weight, np.float32),
        bad_probability=None,
        contract_error=np.zeros(N, bool),
        collapsed=np.zeros(N, bool),
        speed_px=unknown,
        measures=measures,
        ncc=np.zeros((4, N), np.float32),
    )
    return ClipAudit(
        key=key, verdict=verdict_of([]), clip_sha256=sha256, num_frames=4, measures=ClipMeasures(**counts), tracks=tracks
    )  # fmt: skip


def dropped(key: str) -> ClipAudit:
    return ClipAudit(key=key, verdict=verdict_of(["dark"]))


def audit_set(name: str, **changes: object) -> AuditSet:
    settings = {
        "labeler": "x",
        "checkpoint_sha256": None,
        "measures": "1",
        "weights": "1",
        "rules": {},
        "screen": None,
        "calibration": None,
    }
    return AuditSet(**{"name": name, "label_set": name, "cycle": "stored", **settings, **changes})


def screened(key: str, pan: float) -> ScreenRow:
    values = {each.name: () if each.name == "cut_frames" else 0 for each in fields(VideoMeasures)} | {"pan_width_share": pan}
    return ScreenRow(key=key, verdict=verdict_of([]), rules="1", clip_sha256="ab" * 32, measures=VideoMeasures(**values))


@pytest.fixture
def root(tmp_path) -> str:
    """Audits `a` and `b` of one shard, in which only two clips, p and q, were measured by both on one video; q's tracks are worse in b."""
    before = [measured("p"), measured("q"), measured("changed"), measured("a-only"), dropped("none"), measured("b-lacks")]
    after = [measured("p"), measured("q", neigh_max=6.0), measured("changed", sha256="cd" * 32), dropped("a-only"), dropped("none")]
    write_audit_shard(str(tmp_path), "a", 0, before)
    write_audit_shard(str(tmp_path), "b", 0, [*after, measured("b-only")])
    write_screen(str(tmp_path), 0, [screened("p", 0.0), screened("q", 0.05)])
    return str(tmp_path)


def test_only_clips_that_both_measured_on_one_video_count(root):
    counts = count_shard(root, ("a", "b"), 0, num_canaries=8)
    assert counts.num_clips == {ALL_CLIPS: 2, "still": 1, "fast pan": 1}
    assert counts.left_out == {
        "labelled on different videos": 1,
        "measured only in the first": 2,
        "measured only in the second": 1,
        "measured in neither": 1,
    }
    assert {each.key for each in counts.candidates} == {"p", "q"}
    before, after = counts.histograms(ALL_CLIPS, "neigh_max")
    assert (sum(before.counts), sum(after.counts), before.unknown) == (2 * N, 2 * N, 0)
    before, after = counts.histograms(ALL_CLIPS, "ncc_mean")
    assert (sum(before.counts), before.unknown, after.unknown) == (0, 2 * N, 2 * N)
    assert sum(counts.histograms(ALL_CLIPS, "num_tracks")[0].counts) == 2  # one value for each clip


def test_the_planted_drift_is_found_in_its_measure_and_bin_and_nowhere_else(root):
    counts = count_shard(root, ("a", "b"), 0, num_canaries=8)
    found = compare_audits((audit_set("a"), audit_set("b")), counts, [], relation="upgrade")
    assert {(row.measure, row.group) for row in found.rows if row.level != "fine"} == {("neigh_max", ALL_CLIPS), ("neigh_max", "fast pan")}
    assert all("drift of neigh_max" in text and "higher by" in text for text in found.fails)
    assert found.num_clips == {ALL_CLIPS: 2, "still": 1, "fast pan": 1}
    assert "ncc_mean" not in {row.measure for row in found.rows}  # nobody knows it


def test_parts_give_the_same_in_any_grouping(root):
    for name in ("a", "b"):
        write_audit_shard(root, name, 1, [measured("r"), measured("s")])
    one, two = (count_shard(root, ("a", "b"), shard, num_canaries=3) for shard in (0, 1))
    forth, back = merge_counts([one, two], num_canaries=3), merge_counts([merge_counts([two], num_canaries=3), one], num_canaries=3)
    assert forth.num_clips == back.num_clips == {ALL_CLIPS: 4, "still": 1, "fast pan": 1, "not screened": 2}
    assert forth.candidates == back.candidates
    assert len(forth.candidates) == 3
    for key, counts in forth.counts.items():
        np.testing.assert_array_equal(counts, back.counts[key])
    assert one.num_clips[ALL_CLIPS] == 2  # merging left the parts alone


def test_a_shard_that_one_audit_lacks_is_left_out(root):
    write_audit_shard(root, "a", 2, [measured("t"), dropped("u")])
    counts = count_shard(root, ("a", "b"), 2, num_canaries=3)
    assert (counts.num_clips, counts.left_out) == ({}, {"measured only in the first": 1, "measured in neither": 1})


def test_other_versions_and_ways_back_are_warned_of(root):
    counts = count_shard(root, ("a", "b"), 0, num_canaries=1)
    found = compare_audits((audit_set("a"), audit_set("b", measures="2", cycle="none")), counts, [], relation="same labels")
    assert len(found.warnings) == 2
    assert "formulas of the measures differ (1 and 2)" in found.warnings[0]
    assert "(stored and none)" in found.warnings[1]
