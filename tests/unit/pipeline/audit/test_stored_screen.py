"""The screen on disk: what is written is read back, by us and by plain tools; other rules and newer files are refused."""

from dataclasses import asdict, fields, replace

import duckdb
import numpy as np
import pytest

from pipeline.audit.clips import VideoMeasures
from pipeline.audit.stored.screen import ScreenRow, claim_rules, read_screen, write_screen
from pipeline.audit.verdict import ScreenRules, verdict_of
from pipeline.errors import ConfigError, DataError, FormatError
from pipeline.layout import Layout
from pipeline.tables import SCHEMA_VERSIONS

VALUES = {each.name: 0.25 * place for place, each in enumerate(fields(VideoMeasures))}
MEASURES = VideoMeasures(**{**VALUES, "num_frames": 48, "cut_frames": (3, 17), "dark_share": 0.5, "displacement_px": float("nan")})


def rows() -> list[ScreenRow]:
    return [
        ScreenRow(key="a-w0", verdict=verdict_of(["cut_inside", "letterbox"]), rules="screen-1", clip_sha256="ab" * 32, measures=MEASURES),
        ScreenRow(key="b-w0", verdict=verdict_of(["unreadable"]), rules="screen-1", error="does not decode"),
        ScreenRow(key="c-w0", verdict=verdict_of(["tombstoned"]), rules="screen-1"),
    ]


def test_rows_come_back_as_they_were_written(tmp_path):
    write_screen(str(tmp_path), 3, rows())
    found = read_screen(str(tmp_path), 3)
    assert [replace(row, measures=None) for row in found] == [replace(row, measures=None) for row in rows()]
    assert [row.measures is None for row in found] == [False, True, True]
    np.testing.assert_equal(asdict(found[0].measures), asdict(MEASURES))  # NaN is equal to NaN here


def test_plain_tools_read_it(tmp_path):
    write_screen(str(tmp_path), 0, rows())
    query = f"select key, verdict, reasons, cut_frames, isnan(displacement_px), dark_share from '{tmp_path}/screen/*.parquet' order by key"
    assert duckdb.sql(query).fetchall() == [
        ("a-w0", "drop", ["cut_inside", "letterbox"], [3, 17], True, 0.5),
        ("b-w0", "error", ["unreadable"], None, None, None),
        ("c-w0", "drop", ["tombstoned"], None, None, None),
    ]


def test_equal_rows_are_equal_bytes(tmp_path):
    for shard in (0, 1):
        write_screen(str(tmp_path), shard, rows())
    first, second = ((tmp_path / "screen" / f"{shard:06d}.parquet").read_bytes() for shard in (0, 1))
    assert first == second


def test_a_key_that_occurs_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="a-w0"):
        write_screen(str(tmp_path), 0, [rows()[0], rows()[0]])


def test_rows_that_contradict_themselves_are_refused():
    with pytest.raises(DataError, match="without an error"):
        ScreenRow(key="a", verdict=verdict_of(["not_cut"]), rules="screen-1")
    with pytest.raises(DataError, match="sha256"):
        ScreenRow(key="a", verdict=verdict_of([]), rules="screen-1", measures=MEASURES)


def test_a_screen_by_other_rules_is_refused_once_a_shard_is_screened(tmp_path):
    root = str(tmp_path)
    claim_rules(root, ScreenRules(allow_static=True))
    claim_rules(root, ScreenRules())  # nothing is screened yet
    write_screen(root, 0, rows())
    claim_rules(root, ScreenRules())
    with pytest.raises(ConfigError, match="allow_static: False -> True"):
        claim_rules(root, ScreenRules(allow_static=True))


@pytest.mark.parametrize(("version", "remedy"), [(SCHEMA_VERSIONS["screen"] + 1, "upgrade"), (SCHEMA_VERSIONS["screen"] - 1, "again")])
def test_files_of_other_versions_are_refused(tmp_path, monkeypatch, version, remedy):
    with monkeypatch.context() as patch:
        patch.setitem(SCHEMA_VERSIONS, "screen", version)
        write_screen(str(tmp_path), 0, rows())
    with pytest.raises(FormatError, match=remedy):
        read_screen(Layout(str(tmp_path)).root, 0)
