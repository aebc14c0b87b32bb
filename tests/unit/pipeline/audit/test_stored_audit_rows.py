"""The audit of a shard on disk: what is written is read back, whole or in part; damage and newer schemas are refused by name."""

import math
from dataclasses import asdict, replace

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.audit.records import measure_names
from pipeline.audit.stored.audit_rows import iterate_audit_shard, read_audit_shard, writing_audit_shard
from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.audit.verdict import verdict_of
from pipeline.errors import DataError, FormatError, StorageError
from pipeline.layout import Layout
from pipeline.tables import SCHEMA_VERSIONS
from tests.audited_clips import clip_of, tracks_of, write_audit_shard


def clips() -> list[ClipAudit]:
    return [
        clip_of("a", ("letterbox", "mostly_dynamic"), license="CC0-1.0"),
        ClipAudit(key="b", verdict=verdict_of(["contract"]), error="labelled on another video", clip_sha256="cd" * 32),
        ClipAudit(key="c", verdict=verdict_of(["tombstoned"])),
        clip_of("d", tracks=tracks_of(num_tracks=0)),
        clip_of("e", tracks=tracks_of(num_tracks=2, num_frames=1, bad_probability=None), seed=3),
    ]


@pytest.fixture
def root(tmp_path) -> str:
    write_audit_shard(str(tmp_path), "judged", 7, clips())
    return str(tmp_path)


def assert_same(found: ClipAudit, expected: ClipAudit) -> None:
    assert vars_of(found) == vars_of(expected)
    if expected.tracks is None or expected.measures is None:
        assert found.tracks is None
        return
    np.testing.assert_equal(asdict(found.measures), asdict(expected.measures))
    for name in ("queries", "weight", "contract_error", "collapsed", "speed_px"):
        np.testing.assert_array_equal(getattr(found.tracks, name), getattr(expected.tracks, name), err_msg=name)
    for name in measure_names():
        np.testing.assert_array_equal(found.tracks.measures[name], expected.tracks.measures[name], err_msg=name)
    np.testing.assert_allclose(found.tracks.ncc, expected.tracks.ncc, atol=0.5 / 127 + 1e-6)
    assert (found.tracks.bad_probability is None) == (expected.tracks.bad_probability is None)
    np.testing.assert_equal([asdict(pair) for pair in found.tracks.static_pairs], [asdict(pair) for pair in expected.tracks.static_pairs])


def vars_of(clip: ClipAudit) -> list[object]:
    return [
        getattr(clip, name) for name in ("key", "verdict", "clip_sha256", "error", "video_s", "num_frames", "width", "height", "license")
    ]


def test_clips_come_back_as_they_were_written(root):
    found = list(iterate_audit_shard(root, "judged", 7))
    assert [clip.key for clip in found] == ["a", "b", "c", "d", "e"]
    for each, expected in zip(found, clips(), strict=True):
        assert_same(each, expected)


def test_one_clip_is_read_alone(root):
    shard = read_audit_shard(root, "judged", 7)
    assert [clip.verdict for clip in shard.clips.values()] == [clip.verdict for clip in clips()]
    assert shard.clip("a").tracks is None
    assert_same(shard.whole("e"), clips()[4])
    assert shard.whole("b").error == "labelled on another video"
    with pytest.raises(DataError, match="no row for clip z"):
        shard.clip("z")


def test_a_replaced_file_and_another_video_are_noticed(root):
    shard = read_audit_shard(root, "judged", 7)
    shard.check_clip("a", "ab" * 32)
    shard.check_clip("c", "ee" * 32)  # of which nothing was audited
    with pytest.raises(DataError, match="audited on another video"):
        shard.check_clip("a", "ee" * 32)
    write_audit_shard(root, "judged", 7, [clip_of("z")])
    with pytest.raises(DataError, match="open the shard again"):
        shard.whole("a")
    with pytest.raises(DataError, match="open the shard again"):
        shard.whole("e")


def test_plain_tools_read_it(root):
    columns = "key, verdict, reasons, weight[2], ncc[1], isnan(fb_cycle[1]), license"
    query = f"select {columns} from '{root}/audit/judged/000007.parquet' where key = 'a'"
    ((key, verdict, reasons, weight, ncc, unknown, license_),) = duckdb.sql(query).fetchall()
    expected = clips()[0].tracks
    assert (key, verdict, reasons, unknown, license_) == ("a", "quarantine", ["letterbox", "mostly_dynamic"], True, "CC0-1.0")
    assert weight == pytest.approx(float(expected.weight[1]))
    assert ncc == -128
    metadata = pq.read_schema(f"{root}/audit/judged/000007.parquet").metadata
    assert (metadata[b"audit"], metadata[b"ncc_scale"]) == (b"judged", b"127")


def test_equal_clips_give_equal_bytes_however_they_come(tmp_path, root):
    with writing_audit_shard(str(tmp_path), "again", 7) as add:
        for clip in clips():
            add(clip)
    first, second = (open(Layout(root).audit_shard(name, 7), "rb").read() for name in ("judged", "again"))  # noqa: SIM115
    assert first.replace(b"judged", b"again!") != second  # the audit's name is in the file ...
    write_audit_shard(str(tmp_path / "other"), "judged", 7, clips())
    assert (tmp_path / "other/audit/judged/000007.parquet").read_bytes() == first  # ... and nothing else of when and where


def test_a_clip_twice_and_an_interrupted_block_commit_nothing(tmp_path):
    with pytest.raises(DataError, match="clip a has two rows"):
        write_audit_shard(str(tmp_path), "judged", 0, [clip_of("a"), clip_of("a")])
    with pytest.raises(KeyError, match="stopped"):
        stop_after_one(str(tmp_path))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def stop_after_one(root: str) -> None:
    with writing_audit_shard(root, "judged", 0) as add:
        add(clip_of("a"))
        raise KeyError("stopped")


def test_what_cannot_be_read_is_named(root, monkeypatch):
    with pytest.raises(StorageError, match=r"000009\.parquet"):
        read_audit_shard(root, "judged", 9)
    monkeypatch.setitem(SCHEMA_VERSIONS, "audit", 2)
    write_audit_shard(root, "judged", 8, clips())
    monkeypatch.setitem(SCHEMA_VERSIONS, "audit", 1)
    with pytest.raises(FormatError, match="audit schema version 2, this trackmill reads up to 1"):
        read_audit_shard(root, "judged", 8)
    with pytest.raises(FormatError, match="upgrade"):
        list(iterate_audit_shard(root, "judged", 8))


def test_an_unknown_verdict_asks_for_another_audit(root):
    import pyarrow as pa

    uri = Layout(root).audit_shard("judged", 7)
    table = pq.read_table(uri)
    pq.write_table(table.set_column(table.schema.names.index("verdict"), "verdict", pa.array(["splendid"] * 5)), uri)
    with pytest.raises(DataError, match=r"clip a: a verdict 'splendid'.*run jobs/audit.py run again"):
        read_audit_shard(root, "judged", 7)


def test_a_clip_in_error_needs_words_and_measures_need_a_video():
    with pytest.raises(DataError, match="without an error's text"):
        ClipAudit(key="a", verdict=verdict_of(["contract"]))
    with pytest.raises(DataError, match="come together"):
        replace(clip_of("a"), tracks=None)
    with pytest.raises(DataError, match="sha256"):
        replace(clip_of("a"), clip_sha256=None)
    assert math.isnan(clip_of("a").tracks.measures["fb_cycle"][0])
