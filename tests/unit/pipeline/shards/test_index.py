"""The commit of a shard tells every clip, also those that failed, and where its bytes lie."""

import pytest

from pipeline import storage
from pipeline.errors import DataError, StorageError
from pipeline.records import ClipRecord
from pipeline.shards.index import ClipEntry, Member, read_index, read_member, tar_uri, write_index

RECORD = ClipRecord(
    key="a-w0000", source="a.mp4", source_id="a", split="train", start_s=0.0, end_s=0.1, fps=30.0, frames=2, width=8, height=6,
    codec="h264",
    video="copy", sha256="00", timestamps=(0.0, 1 / 30), license="CC0", pose_source="pseudo", extra={"caption": "é", "score": 0.5},
)  # fmt: skip
COMMON = {"source": "a.mp4", "source_id": "a", "split": "train"}
MEMBERS = (Member(name="json", offset=512, length=3), Member(name="mp4", offset=1024, length=4))


def test_entries_come_back_as_they_were(tmp_path):
    entries = [
        ClipEntry(key="a-w0000", sample_key="a-w0000", tar="000000.tar", license="CC0", members=MEMBERS, record=RECORD, **COMMON),
        ClipEntry(key="a-w0001", sample_key="a-w0001", tar="000000.tar", **COMMON),
    ]
    write_index(str(tmp_path), 0, entries)
    assert read_index(str(tmp_path), 0) == entries
    assert [entry.status for entry in entries] == ["ok", "failed"]


def test_members_are_read_by_their_range(tmp_path):
    storage.publish_bytes(str(tmp_path / "shards/000000.tar"), b"x" * 1024 + b"clip")
    entry = ClipEntry(key="a", sample_key="a", tar="000000.tar", members=MEMBERS, record=RECORD, **COMMON)
    assert read_member(str(tmp_path), entry, entry.video) == b"clip"
    storage.publish_bytes(str(tmp_path / "shards/000000.tar"), b"x" * 1026)
    with pytest.raises(StorageError, match=r"000000.tar: 4 bytes expected from offset 1024, 2 found"):
        read_member(str(tmp_path), entry, entry.video)


def test_a_foreign_tar_stays_where_it_lies():
    entry = ClipEntry(key="a", sample_key="0001", tar="s3://bucket/0.tar", **COMMON)
    assert tar_uri("/root", entry) == "s3://bucket/0.tar"
    with pytest.raises(DataError, match="clip a: no video member in s3://bucket/0.tar"):
        _ = entry.video


def test_a_shard_that_is_not_committed_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"000007.parquet: there is no such file"):
        read_index(str(tmp_path), 7)
