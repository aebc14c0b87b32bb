"""Files appear whole or not at all, here and in an object store; what goes wrong is said with the remedy."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import aiobotocore.awsrequest
import pytest

from pipeline import storage
from pipeline.errors import AlreadyThereError, StorageError
from pipeline.storage.owners import this_process


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path) -> str:
    return str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")


def test_bytes_come_back_whole_and_in_ranges(root):
    uri = storage.join(root, "a", "b.bin")
    assert not storage.exists(uri)
    storage.publish_bytes(uri, bytes(range(100)))
    assert storage.exists(uri)
    assert storage.size(uri) == 100
    assert storage.read_bytes(uri) == bytes(range(100))
    assert storage.read_range(uri, 10, 5) == bytes(range(10, 15))
    with storage.open_input(uri) as handle:
        handle.seek(90)
        assert handle.read() == bytes(range(90, 100))


def test_a_file_is_replaced_listed_and_removed(root):
    for name in ("x/2.txt", "x/1.txt", "y/3.txt"):
        storage.publish_bytes(storage.join(root, name), b"old")
    storage.publish_bytes(storage.join(root, "x/1.txt"), b"new")
    assert storage.read_bytes(storage.join(root, "x/1.txt")) == b"new"
    assert [uri.rsplit("/", 1)[-1] for uri in storage.list_files(storage.join(root, "x"))] == ["1.txt", "2.txt"]
    assert [uri[-7:] for uri in storage.glob(storage.join(root, "*/*.txt"))] == ["x/1.txt", "x/2.txt", "y/3.txt"]
    assert storage.is_directory(storage.join(root, "x"))
    storage.remove(storage.join(root, "x/1.txt"))
    storage.remove(storage.join(root, "x/1.txt"))
    assert not storage.exists(storage.join(root, "x/1.txt"))
    assert storage.list_files(storage.join(root, "nothing")) == []


def test_nothing_appears_when_writing_fails(root):
    uri = storage.join(root, "half.bin")

    def write_half():
        with storage.publishing(uri) as path:
            path.write_bytes(b"half")
            raise KeyError("the writer failed")

    with pytest.raises(KeyError):
        write_half()
    assert storage.list_files(root) == []


def test_what_a_dead_writer_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    machine, pid, start = this_process().text.split("-")
    dead = tmp_path / f".a.bin.{machine}-{int(ended.stdout)}-1.0123456789ab.tmp"
    another_began = tmp_path / f".a.bin.{machine}-{pid}-{int(start) + 1}.0123456789ab.tmp"
    living = tmp_path / f".a.bin.{machine}-{pid}-{start}.0123456789ab.tmp"
    elsewhere = tmp_path / ".a.bin.0123456789ab-1-1.0123456789ab.tmp"
    for path in (dead, another_began, living, elsewhere):
        path.write_bytes(b"half")
    storage.publish_bytes(str(tmp_path / "a.bin"), b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.bin", living.name, elsewhere.name}


def test_a_file_that_may_be_made_once_is_made_by_the_first(root):
    uri = storage.join(root, "plan", "000000.parquet")
    storage.publish_bytes(uri, b"first", once=True)
    with pytest.raises(AlreadyThereError, match="000000.parquet is there already"):
        storage.publish_bytes(uri, b"second", once=True)
    assert storage.read_bytes(uri) == b"first"
    assert [found.rsplit("/", 1)[-1] for found in storage.list_files(root)] == ["000000.parquet"]


def test_a_lock_makes_the_later_wait_and_say_so(root, caplog):
    uri, order = storage.join(root, "locks", "shard"), []

    def later():
        with storage.only_one(uri, "the shards"):
            order.append("later")

    with storage.only_one(uri, "the shards"):
        thread = threading.Thread(target=later)
        thread.start()
        while "waiting: another job" not in caplog.text:
            assert thread.is_alive()
            time.sleep(0.01)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "later"]
    assert f"process {os.getpid()}" in caplog.text
    assert storage.list_files(root) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    uri = str(tmp_path / "shard")
    code = f"import os\nfrom pipeline import storage\nwith storage.only_one({uri!r}, 'x'):\n    os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    with storage.only_one(uri, "x"):
        assert f"process {os.getpid()} " in (tmp_path / "shard").read_text()


def test_a_file_system_without_locks_is_said_and_the_job_goes_on(tmp_path, monkeypatch, caplog):
    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("pipeline.storage.locks.fcntl.flock", refuse)
    with storage.only_one(str(tmp_path / "shard"), "the shards of R"):
        assert "cannot be locked here (No locks available): see that no second job works on the shards of R" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_and_one_cut_short_are_named(root):
    uri = storage.join(root, "short.bin")
    with pytest.raises(StorageError, match=r"short.bin: there is no such file"):
        storage.read_bytes(uri)
    storage.publish_bytes(uri, b"12345")
    with pytest.raises(StorageError, match=r"short.bin: 10 bytes expected from offset 0, 5 found"):
        storage.read_range(uri, 0, 10)


def test_no_space_left_says_what_to_do(tmp_path, monkeypatch):
    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="no space left; free some, then run the same command again"):
        storage.publish_bytes(str(tmp_path / "a.bin"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_protocol_is_explained():
    with pytest.raises(StorageError, match="nosuch"):
        storage.read_bytes("nosuch://bucket/key")


def test_an_object_store_that_answers_503_is_a_storage_error_and_leaves_nothing(bucket):
    fs, _ = storage.file_system(bucket)
    attempts = []

    def refuse(request, **kwargs):
        attempts.append(request.url)
        return aiobotocore.awsrequest.AioAWSResponse(request.url, 503, {}, _Body())

    fs.connect()
    fs.s3.meta.events.register_first("before-send.s3.PutObject", refuse)
    try:
        with pytest.raises(StorageError, match=r"cannot write s3://.*run the same command again"):
            storage.publish_bytes(storage.join(bucket, "a.bin"), b"x")
    finally:
        fs.s3.meta.events.unregister("before-send.s3.PutObject", refuse)
    assert len(attempts) >= 2  # the client tried again by itself
    assert storage.list_files(bucket) == []
    storage.publish_bytes(storage.join(bucket, "a.bin"), b"x")  # and the next run succeeds
    assert storage.read_bytes(storage.join(bucket, "a.bin")) == b"x"


class _Body:
    """An empty answer."""

    async def read(self) -> bytes:
        return b""


def test_linked_folders_are_followed(tmp_path):
    (tmp_path / "disk2/day 1").mkdir(parents=True)
    (tmp_path / "disk2/day 1/a.mp4").write_bytes(b"x")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/more").symlink_to(tmp_path / "disk2")
    assert storage.list_files(str(tmp_path / "videos")) == [str(tmp_path / "videos/more/day 1/a.mp4")]
