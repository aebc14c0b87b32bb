"""summary.json, shards.parquet and clips.parquet: read back, by us and by plain tools."""

import json
from dataclasses import replace

import duckdb
import pytest

from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.documents import read_summary, write_clips, write_shard_lines, write_summary
from pipeline.audit.summing.gate import check_gate, drift_rows
from pipeline.audit.summing.shard_sum import sum_clips
from pipeline.audit.summing.sums import merge_sums, summary_of
from pipeline.audit.verdict import ClipRules
from pipeline.errors import DataError, FormatError, StorageError
from pipeline.tables import SCHEMA_VERSIONS
from tests.audited_clips import clip_of, tracks_of, write_audit_shard

AUDIT = AuditSet(
    name="judged", label_set="set", labeler="dis-flow", checkpoint_sha256=None, measures="tracks-1", weights="fallback-1", rules={},
    screen=None, calibration=None, cycle="none",
)  # fmt: skip
SHARDS = {
    0: [clip_of("a"), clip_of("b", ("letterbox",), seed=1)],
    4: [clip_of("c", tracks=tracks_of(num_tracks=0)), clip_of("<b>d", seed=2)],
}


@pytest.fixture
def summary():
    return summary_of(merge_sums(sum_clips(shard, clips, ClipRules()) for shard, clips in SHARDS.items()))


def test_a_summary_comes_back_without_the_lines_of_its_shards(tmp_path, summary):
    gate = check_gate(summary, AUDIT, baseline=summary, drift=drift_rows(summary, summary))
    write_summary(str(tmp_path), AUDIT, summary, gate, drift=drift_rows(summary, summary))
    uri = tmp_path / "audit/judged/summary.json"
    assert repr(read_summary(str(uri))) == repr(replace(summary, shards=()))
    document = json.loads(uri.read_text())
    assert document["gate"]["passes"] is True
    assert document["summary"]["num_shards"] == 2
    assert document["audit"]["rules"] == {}
    assert document["versions"]["trackmill"]
    assert len(document["drift"]) == len(drift_rows(summary, summary))


def test_equal_summaries_are_equal_bytes(tmp_path, summary):
    for folder in ("one", "two"):
        write_summary(str(tmp_path / folder), AUDIT, summary, check_gate(summary, AUDIT))
        write_shard_lines(str(tmp_path / folder), "judged", summary)
    for name in ("summary.json", "shards.parquet"):
        assert (tmp_path / "one/audit/judged" / name).read_bytes() == (tmp_path / "two/audit/judged" / name).read_bytes()


def test_plain_tools_read_the_tables(tmp_path, summary):
    for shard, clips in SHARDS.items():
        write_audit_shard(str(tmp_path), "judged", shard, clips)
    write_clips(str(tmp_path), "judged", list(SHARDS))
    write_shard_lines(str(tmp_path), "judged", summary)
    clips = duckdb.sql(
        f"select shard, key, verdict, reasons, num_tracks, mean_weight from '{tmp_path}/audit/judged/clips.parquet'"
    ).fetchall()
    assert [row[:4] for row in clips] == [
        (0, "a", "keep", []),
        (0, "b", "quarantine", ["letterbox"]),
        (4, "c", "keep", []),
        (4, "<b>d", "keep", []),
    ]
    assert clips[0][5] == pytest.approx(float(SHARDS[0][0].tracks.weight.mean()))
    assert clips[2][5] is None
    lines = duckdb.sql(f"select shard, num_clips, keep, quarantine, worst_reason from '{tmp_path}/audit/judged/shards.parquet'").fetchall()
    assert lines == [(0, 2, 1, 1, "letterbox"), (4, 2, 2, 0, "")]


def test_what_is_no_summary_is_refused_by_name(tmp_path, summary, monkeypatch):
    uri = tmp_path / "audit/judged/summary.json"
    with pytest.raises(StorageError, match=r"summary\.json"):
        read_summary(str(uri))
    uri.parent.mkdir(parents=True)
    uri.write_text('{"schema_version": 1, "summary": {}}')
    with pytest.raises(DataError, match="not the summary of an audit"):
        read_summary(str(uri))
    monkeypatch.setitem(SCHEMA_VERSIONS, "audit_summary", 2)
    write_summary(str(tmp_path), AUDIT, summary, check_gate(summary, AUDIT))
    monkeypatch.setitem(SCHEMA_VERSIONS, "audit_summary", 1)
    with pytest.raises(FormatError, match="upgrade"):
        read_summary(str(uri))
