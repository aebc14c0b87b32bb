"""Depth label sets: what lies on disk, what comes back, and that a commit never points into another tar."""

import struct
import tarfile
import zlib

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.errors import ConfigError, DataError, StorageError
from pipeline.labels import (
    LabelRow,
    decode_row,
    encode_rows,
    read_encoded_rows,
    read_label_set,
    read_label_shard,
    read_labels,
    read_labels_as,
    write_label_set,
    write_label_shard,
    write_label_tables,
)
from pipeline.labels.kinds.depth import decode_depth, encode_depth
from pipeline.records import DepthLabels, LabelSet

HALF_A_STEP = 2 ** (0.5 / 1024) - 1


def make_depth(seed: int = 0, *, num_frames: int = 4, size: tuple[int, int] = (6, 8), confidence: bool = True) -> DepthLabels:
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.normal(1, 1, (num_frames, *size))).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = 0
    scores = rng.random(depth.shape, np.float32) if confidence else None
    return DepthLabels(depth=depth, scale="metric", confidence=scores)


def row(key: str, labels: DepthLabels) -> LabelRow:
    num_frames, height, width = labels.depth.shape
    return LabelRow(key=key, status="ok", labels=labels, clip_sha256="ab" * 32, num_frames=num_frames, width=width, height=height)


def failed(key: str) -> LabelRow:
    return LabelRow(key=key, status="failed", error="frame 3 does not decode")


@pytest.fixture
def depth_set() -> LabelSet:
    return LabelSet(labeler="by-hand", configuration={"depth_scale": "metric"}, kind="depth")


@pytest.fixture
def root(tmp_path, depth_set):
    write_label_set(str(tmp_path), depth_set)
    rows = [row("a", make_depth(1)), failed("b"), row("c", make_depth(2, confidence=False))]
    write_label_shard(str(tmp_path), depth_set.name, shard=0, rows=rows, kind="depth")
    return str(tmp_path)


def test_codes_are_steps_of_a_1024th_octave_about_1_and_0_is_invalid():
    depth = np.array([1, 2, 0.5, 1000, 0], np.float32)
    assert encode_depth(depth).tolist() == [32768, 32768 + 1024, 32768 - 1024, 32768 + round(1024 * np.log2(1000)), 0]
    assert decode_depth(np.array([0, 32768, 32768 + 2048], np.uint16)).tolist() == [0, 1, 4]


def test_depth_comes_back_within_half_a_step_over_its_whole_range_and_invalid_stays_invalid():
    depth = np.exp2(np.linspace(-31.9, 31.9, 20_001)).astype(np.float32)
    error = np.abs(decode_depth(encode_depth(depth)) / depth - 1)
    assert 0.9 * HALF_A_STEP < error.max() < 1.01 * HALF_A_STEP < 2**-11  # below that of half floats
    found = decode_row(encode_rows([row("a", make_depth(5))], "depth"), 0).labels
    np.testing.assert_array_equal(found.depth == 0, make_depth(5).depth == 0)
    assert np.abs(found.confidence - make_depth(5).confidence).max() <= 0.5 / 255 + 1e-6
    assert found.scale == "metric"


@pytest.mark.parametrize("depth", [2.0**-33, 2.0**33])
def test_depth_beyond_the_codes_is_refused_naming_the_clip(depth):
    labels = DepthLabels(depth=np.full((1, 6, 8), depth, np.float32), scale="relative")
    with pytest.raises(DataError, match=r"clip a: depth reaches from .* expected within 2\^-32 and 2\^32"):
        encode_rows([row("a", labels)], "depth")


def test_any_tool_reads_the_files(root, depth_set):
    with tarfile.open(f"{root}/labels/{depth_set.name}/000000.tar") as tar:
        names = tar.getnames()
        data = tar.extractfile("c.0002.depth.png").read()
    assert names[:3] == ["a.0000.depth.png", "a.0000.confidence.png", "a.0001.depth.png"]
    assert names[8:] == [f"c.{t:04d}.depth.png" for t in range(4)]
    codes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).astype(float)
    depth = np.where(codes > 0, 2 ** ((codes - 32768) / 1024), 0)
    np.testing.assert_allclose(depth, make_depth(2).depth[2], rtol=1.01 * HALF_A_STEP)
    table = pq.read_table(f"{root}/labels/{depth_set.name}/000000.parquet")
    assert table.schema.metadata[b"label_kind"] == b"depth"
    first = table["members"].to_pylist()[2][2]
    with open(f"{root}/labels/{depth_set.name}/000000.tar", "rb") as handle:
        handle.seek(first["offset"])
        assert (first["name"], handle.read(first["length"])) == ("0002.depth.png", data)


def test_a_set_and_a_shard_are_read_by_kind(root, depth_set, make_row):
    assert read_label_set(root, depth_set.name).kind == "depth"
    found = dict(read_labels_as(root, depth_set.name, DepthLabels))
    assert list(found) == ["a", "c"]
    np.testing.assert_allclose(found["a"].depth, make_depth(1).depth, rtol=1.01 * HALF_A_STEP)
    with pytest.raises(ConfigError, match="holds depth, where tracks are asked for"):
        read_labels(root, depth_set.name)
    shard = read_label_shard(root, depth_set.name, 0)
    assert (shard.kind, [entry.status for entry in shard.entries.values()]) == ("depth", ["ok", "failed", "ok"])
    with pytest.raises(DataError, match="holds depth, not tracks"):
        shard.tracks("a")
    with pytest.raises(DataError, match=r"clip b has no labels, it is failed"):
        shard.labels("b")
    with pytest.raises(DataError, match="clip a: its labels are tracks, those of the set are depth"):
        encode_rows([make_row("a")], "depth")


def test_some_frames_are_read_without_the_others(root, depth_set, monkeypatch):
    shard, read = read_label_shard(root, depth_set.name, 0), []
    monkeypatch.setattr(storage, "read_range", lambda uri, offset, length: (read.append(length), read_range(uri, offset, length))[1])
    whole = shard.labels("a")
    some = shard.labels("a", frames=[1, 3])
    np.testing.assert_array_equal(some.depth, whole.depth[[1, 3]])
    np.testing.assert_array_equal(some.confidence, whole.confidence[[1, 3]])
    assert read[1] < read[0]
    with pytest.raises(DataError, match="clip a has no file for frame 4"):
        shard.labels("a", frames=[3, 4])


read_range = storage.read_range


def test_equal_rows_are_equal_bytes_however_they_were_spread_over_tables(root, tmp_path, depth_set):
    rows = [row("a", make_depth(1)), failed("b"), row("c", make_depth(2, confidence=False))]
    write_label_tables(str(tmp_path / "two"), depth_set.name, shard=0, tables=[encode_rows([one], "depth") for one in rows], kind="depth")
    for suffix in ("tar", "parquet"):
        first, second = (tmp_path / folder / f"labels/{depth_set.name}/000000.{suffix}" for folder in (".", "two"))
        assert first.read_bytes() == second.read_bytes()


def test_rows_that_are_kept_are_committed_again_with_their_files(root, tmp_path, depth_set):
    kept, new = read_encoded_rows(root, depth_set.name, 0).slice(0, 1), encode_rows([row("b", make_depth(3))], "depth")
    tables = [table.replace_schema_metadata(None) for table in (kept, new)]
    write_label_tables(root, depth_set.name, shard=0, tables=tables, kind="depth")
    write_label_shard(
        str(tmp_path / "at_once"), depth_set.name, shard=0, rows=[row("a", make_depth(1)), row("b", make_depth(3))], kind="depth"
    )
    for suffix in ("tar", "parquet"):
        again, at_once = (tmp_path / folder / f"labels/{depth_set.name}/000000.{suffix}" for folder in (".", "at_once"))
        assert again.read_bytes() == at_once.read_bytes()


def test_killed_between_tar_and_commit_a_shard_is_not_labelled(root, tmp_path, depth_set, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.labels.write.write_table", die)
    for shard in (0, 1):  # labelled before, and new
        with pytest.raises(KeyboardInterrupt):
            write_label_shard(root, depth_set.name, shard=shard, rows=[row("a", make_depth(9))], kind="depth")
    assert sorted(path.name for path in (tmp_path / f"labels/{depth_set.name}").iterdir()) == ["000000.tar", "000001.tar", "label_set.json"]


def test_another_tar_and_damage_are_noticed(root, tmp_path, depth_set):
    tar = tmp_path / f"labels/{depth_set.name}/000000.tar"
    shard, whole = read_label_shard(root, depth_set.name, 0), tar.read_bytes()
    at = next(member["offset"] for member in pq.read_table(tar.with_suffix(".parquet"))["members"].to_pylist()[0])
    tar.write_bytes(whole[: at + 60] + bytes([whole[at + 60] ^ 1]) + whole[at + 61 :])
    with pytest.raises(DataError, match=r"000000.parquet: clip a: 0000.depth.png is damaged.*label this shard again"):
        shard.labels("a")
    tar.write_bytes(whole.replace(b"a.0000.depth.png", b"z.0000.depth.png"))
    with pytest.raises(DataError, match=r"000000.tar: 0000.depth.png of clip a is not at byte 512: another tar"):
        shard.labels("a")
    tar.write_bytes(whole[:2000])
    with pytest.raises(StorageError, match="cut short"):
        shard.labels("a")


def test_an_image_that_declares_another_size_is_refused_before_it_is_decoded(monkeypatch):
    bomb = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 16, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + bomb + struct.pack(">I", zlib.crc32(bomb))
    table = encode_rows([row("a", make_depth(1, num_frames=1))], "depth")
    monkeypatch.setattr("pipeline.labels.rows.row_files", lambda *_: {"0000.depth.png": data})
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match="clip a: 0000.depth.png is damaged, or no grey PNG of 8x6 with 16 bits"):
        decode_row(table, 0)


def test_labels_of_another_size_are_no_row():
    with pytest.raises(DataError, match=r"clip a: depth is \[4, 6, 8\], the clip is \[4, 6, 9\]"):
        LabelRow(key="a", status="ok", labels=make_depth(), clip_sha256="ab" * 32, num_frames=4, width=9, height=6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": np.full((1, 2, 2), -1, np.float32)}, "negative"),
        ({"depth": np.full((1, 2, 2), np.nan, np.float32)}, "NaN"),
        ({"scale": "feet"}, "scale of depth is 'feet'"),
        ({"confidence": np.full((1, 2, 2), 1.5, np.float32)}, r"\[0, 1\]"),
    ],
)
def test_depth_that_is_none_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        DepthLabels(**{"depth": np.ones((1, 2, 2), np.float32), "scale": "metric", **changes})


def test_the_kind_names_a_set_and_stays_out_of_the_name_and_document_of_sets_of_tracks(tmp_path):
    options = {"labeler": "lk", "configuration": {"window": 21}}
    tracks, depth = LabelSet(**options), LabelSet(**options, kind="depth")
    assert tracks.name == "lk-b352b088"  # as it was before there were kinds
    assert depth.name != tracks.name
    for each in (tracks, depth):
        write_label_set(str(tmp_path), each)
        assert read_label_set(str(tmp_path), each.name) == each
    assert b"kind" not in (tmp_path / "labels/lk-b352b088/label_set.json").read_bytes()
