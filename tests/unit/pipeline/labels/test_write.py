import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from pipeline.labels import LabelRow, decode_row, encode_rows, read_label_shard, write_label_shard, write_label_tables
from pipeline.records import TrackLabels


def by_hand() -> TrackLabels:
    """Two tracks over three frames; every value is a whole number of 1/32 px."""
    return TrackLabels(
        queries=np.array([[0, 10.3, 20.7], [1, 1.5, 2.25]], np.float32),
        tracks_px=np.array([[[10, 20], [1, 2]], [[10.5, 20], [1.5, 2.25]], [[-3.03125, 481], [2, 2.5]]], np.float32),
        visibility=np.array([[True, False], [True, True], [False, True]]),
        confidence=np.array([[1, 0], [0.2, 0.5], [0, 1]], np.float32),
    )


def test_the_stored_numbers_are_pixels_times_32_with_each_tracks_frames_together(tmp_path, make_row):
    write_label_shard(str(tmp_path), "lk", shard=0, rows=[make_row("a", by_hand())])
    row = pq.read_table(tmp_path / "labels/lk/000000.parquet").to_pylist()[0]
    assert row["tracks_x"] == [320, 336, -97, 32, 48, 64]
    assert row["tracks_y"] == [640, 640, 15392, 64, 72, 80]
    assert row["visibility"] == [True, True, False, False, True, True]
    assert row["confidence"] == [255, 51, 0, 0, 128, 255]
    assert row["query_t"] == [0, 1]
    assert row["query_x"] == [np.float32(10.3), 1.5]
    assert (row["num_frames"], row["num_tracks"], row["visibility_score"], row["cycle_error_px"]) == (3, 2, None, None)


def test_the_file_says_what_its_numbers_mean(tmp_path, make_row):
    write_label_shard(str(tmp_path), "lk", shard=0, rows=[make_row("a")])
    metadata = pq.read_schema(tmp_path / "labels/lk/000000.parquet").metadata
    found = {
        name: metadata[name] for name in (b"trackmill_kind", b"schema_version", b"position_scale", b"position_error_bound_px", b"label_set")
    }
    assert list(found.values()) == [b"labels", b"1", b"32", b"0.015625", b"lk"]
    assert {b"order", b"convention", b"score_scale"} <= set(metadata)


def test_positions_come_back_within_the_bound_and_all_else_exactly(make_labels, make_row):
    labels = make_labels(num_frames=9, num_tracks=40)
    row = decode_row(encode_rows([make_row("a", labels)]), 0)
    assert row.key == "a"
    assert row.labels is not None
    error = np.abs(row.labels.tracks_px - labels.tracks_px)
    assert 1 / 128 < error.max() <= 1 / 64
    np.testing.assert_array_equal(row.labels.visibility, labels.visibility)
    np.testing.assert_array_equal(row.labels.queries, labels.queries)
    np.testing.assert_array_equal(row.labels.cycle_error_px, labels.cycle_error_px)
    for name in ("confidence", "visibility_score"):
        assert np.abs(getattr(row.labels, name) - getattr(labels, name)).max() <= 0.5 / 255 + 1e-6


def test_every_status_comes_back_as_it_was(make_row):
    rows = [
        make_row("a"),
        LabelRow(key="b", status="screened", error="static", width=8, height=6, num_frames=4, clip_sha256="cd" * 32),
        LabelRow(key="c", status="failed", error="frame 3 does not decode"),
        LabelRow(key="d", status="quarantined", error="killed its worker 2 times", notes="batch 1"),
    ]
    table = encode_rows(rows)
    for index, row in enumerate(rows[1:], start=1):
        found = decode_row(table, index)
        assert all(getattr(found, name) == getattr(row, name) for name in LabelRow.__slots__)


def test_a_clip_without_tracks_is_a_valid_row(make_labels, make_row):
    labels = decode_row(encode_rows([make_row("a", make_labels(num_tracks=0))]), 0).labels
    assert labels is not None
    assert labels.tracks_px.shape == (6, 0, 2)
    assert labels.queries.shape == (0, 3)


@pytest.mark.parametrize(("px", "fits"), [(67_108_860.0, True), (-67_108_860.0, True), (67_108_864.0, False), (-3e9, False)])
def test_a_prediction_too_far_for_int32_names_clip_track_and_frame(make_labels, make_row, px, fits):
    labels = make_labels()
    labels.tracks_px[4, 2, 1] = px
    if fits:
        assert decode_row(encode_rows([make_row("a", labels)]), 0).labels.tracks_px[4, 2, 1] == px
    else:
        with pytest.raises(DataError, match=r"clip far-away: track 2 is at .* in frame 4"):
            encode_rows([make_row("far-away", labels)])


def test_equal_rows_give_equal_bytes_however_they_are_spread_over_tables(tmp_path, make_labels, make_row):
    rows = [make_row(f"k{index}", make_labels(seed=index, num_tracks=index)) for index in range(5)]
    write_label_shard(str(tmp_path / "one"), "lk", shard=3, rows=rows)
    write_label_tables(str(tmp_path / "two"), "lk", shard=3, tables=[encode_rows(rows[:2]), encode_rows([]), encode_rows(rows[2:])])
    one, two = ((tmp_path / name / "labels/lk/000003.parquet").read_bytes() for name in ("one", "two"))
    assert one == two


def test_an_empty_shard_can_be_committed(tmp_path):
    write_label_shard(str(tmp_path), "lk", shard=0, rows=[])
    assert not read_label_shard(str(tmp_path), "lk", 0).entries


def test_a_key_may_not_occur_twice(tmp_path, make_row):
    with pytest.raises(DataError, match="1 clips have two rows each, the first is a"):
        write_label_shard(str(tmp_path), "lk", shard=0, rows=[make_row("a"), make_row("b"), make_row("a")])
    assert not list(tmp_path.rglob("*.parquet"))


def test_plain_pyarrow_reads_pixels_without_us(tmp_path, make_row):
    write_label_shard(str(tmp_path), "lk", shard=0, rows=[make_row("a", by_hand())])
    code = f"""
import sys
import pyarrow.parquet as pq
row = pq.read_table({str(tmp_path / "labels/lk/000000.parquet")!r}).to_pylist()[0]
n, t, frames = 1, 2, row["num_frames"]
print(row["tracks_x"][n * frames + t] / 32, row["tracks_y"][n * frames + t] / 32, row["visibility"][n * frames + t])
assert not any(name.startswith("pipeline") for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["2.0", "2.5", "True"]


def test_duckdb_reads_pixels_without_us(tmp_path: Path, make_row):
    write_label_shard(str(tmp_path), "lk", shard=0, rows=[make_row("a", by_hand())])
    # the second track (n = 1) in the last frame (t = 2); DuckDB counts from 1
    query = f"""select tracks_x[1 * num_frames + 2 + 1] / 32.0, tracks_y[1 * num_frames + 2 + 1] / 32.0,
                list_count(list_filter(visibility, lambda seen: seen)), confidence[2] / 255.0, query_y[1]
                from '{tmp_path}/labels/lk/*.parquet'"""
    x, y, num_visible, confidence, query_y = duckdb.sql(query).fetchall()[0]
    assert (x, y, num_visible, query_y) == (2.0, 2.5, 4, np.float32(20.7))
    assert confidence == pytest.approx(0.2)
