"""Every file of a root, damaged in every way: readers say what is wrong with it, in an error of ours, or read it."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.audit.stored.audit_rows import iterate_audit_shard
from pipeline.errors import DataError, TrackmillError
from pipeline.labels import read_labels
from pipeline.shards.index import read_index, write_index
from pipeline.shards.tombstones import read_tombstones, write_tombstones
from pipeline.shards.track_truth import read_track_truth
from pipeline.stream import ClipStream, StreamConfig
from tests.mutations import damaged, damaged_tables

JSON = (b"[" * 5000, b"null", b"{}", b'{"schema_version": 1}', b'{"schema_version": "x"}', b'{"schema_version": 1e400}', b"\xff\xfe", b"")


@pytest.fixture(name="whole")
def _whole(make_root, label, audit, make_truth) -> tuple[str, str]:
    tracks = {
        "tracks2d": np.zeros((6, 2, 2), np.float32),
        "visibility": np.ones((6, 2), bool),
        "track_valid": np.ones((6, 2), bool),
        "query_frame": np.zeros(2, np.int32),
    }
    root = make_root(num_clips=(2,), arrays={"s0c0": {**make_truth(), **tracks}})
    labels = label(root, [0])
    audit(root, labels, [0])
    write_tombstones(root, ["gone"])
    return root, labels


def read_all(root: str, labels: str) -> list[str]:
    """Read a root through every reader; the messages of the errors of ours."""
    said = []
    config = StreamConfig(root=root, labels=labels, audit=labels, epochs=1, shuffle=False, on_error="skip", max_skips_in_row=99)
    readers: tuple[Callable[[], object], ...] = (
        lambda: list(ClipStream(config)),
        lambda: list(ClipStream(replace(config, labels=None, audit=None, on_error="raise"))),
        lambda: list(read_labels(root, labels)),
        lambda: list(iterate_audit_shard(root, labels, 0)),
        lambda: [read_track_truth(root, entry) for entry in read_index(root, 0)],
        lambda: read_tombstones(root),
    )
    for read in readers:
        try:
            read()
        except TrackmillError as error:
            said.append(str(error))
    return said


def files_of(root: str) -> list[Path]:
    return sorted(path for path in Path(root).rglob("*") if path.is_file())


def test_damaged_bytes_of_any_file_are_read_or_told(whole):
    root, labels = whole
    assert read_all(root, labels) == []
    told = 0
    for path in files_of(root):
        data = path.read_bytes()
        for seed in range(3):
            path.write_bytes(damaged(data, seed))
            told += bool(read_all(root, labels))
        path.write_bytes(data)
    assert told > 8


@pytest.mark.soak
def test_hundreds_of_damaged_files_are_read_or_told(whole):
    root, labels = whole
    files = files_of(root)
    for number in range(420):
        path = files[number % len(files)]
        data = path.read_bytes()
        path.write_bytes(damaged(data, number // len(files) + 3))
        read_all(root, labels)
        path.write_bytes(data)
    assert read_all(root, labels) == []


@pytest.mark.parametrize("folder", ["shards", "labels", "audit"])
def test_a_table_whose_columns_were_edited_is_told_with_its_name(whole, folder):
    root, labels = whole
    (path,) = (Path(root) / folder).rglob("000000.parquet")
    data = path.read_bytes()
    every = list(damaged_tables(path))
    for what, table in every[:: 1 + 2 * (len(every) // 60)]:  # an odd step meets all kinds of damage
        pq.write_table(table, path)
        said = read_all(root, labels)
        assert all(root in message for message in said), what
        if what.endswith(("dropped", "text")) and not any(what.startswith(name) for name in ("notes", "extra")):
            column = what.split()[0]
            kind = pq.ParquetFile(io.BytesIO(data)).schema_arrow.field(column).type
            assert said or (what.endswith("text") and str(kind) == "string"), what
    path.write_bytes(data)
    assert read_all(root, labels) == []


def test_edited_documents_are_told_with_their_name(whole):
    root, labels = whole
    for name in ("labels/*/label_set.json", "audit/*/audit.json"):
        (path,) = Path(root).glob(name)
        data = path.read_bytes()
        for content in JSON:
            path.write_bytes(content)
            assert any(path.name in message for message in read_all(root, labels)), content
        path.write_bytes(data)


def test_a_clip_whose_index_row_cannot_be_right_is_named(whole):
    root, _ = whole
    entries = read_index(root, 0)
    for changed in ({"width": 10**6}, {"fps": float("nan")}, {"timestamps": (float("nan"), *range(5))}):
        write_index(root, 0, [replace(entries[0], record=replace(entries[0].record, **changed)), entries[1]])
        with pytest.raises(DataError, match=r"000000\.parquet: clip s0c0: .*run jobs/shard.py again"):
            read_index(root, 0)
    member = replace(entries[0].members[0], offset=-600)
    write_index(root, 0, [replace(entries[0], members=(member,)), entries[1]])
    with pytest.raises(DataError, match="from byte -600"):
        read_index(root, 0)


@pytest.mark.unexpected
def test_what_nobody_foresaw_is_skipped_or_named(whole, monkeypatch):
    root, _ = whole

    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr("pipeline.stream.clip_stream.assemble", fails)
    config = StreamConfig(root=root, epochs=1, on_error="skip")
    stream = ClipStream(config)
    assert (list(stream), stream.num_skipped) == ([], 2)
    with pytest.raises(DataError, match=r'shard 000000, clip s0c\d: unexpected ZeroDivisionError at .*on_error="skip"'):
        list(ClipStream(replace(config, on_error="raise")))
