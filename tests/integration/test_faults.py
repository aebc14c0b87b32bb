"""Storage that fails in the middle of a job: nothing committed is lost, the message says what to do, the next run finishes."""

import errno
from itertools import count

import aiobotocore.awsrequest
import pytest

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, label_dataset
from jobs.sharding.job import ShardingConfig, make_shards
from labelers import QueryPolicy
from pipeline import storage
from pipeline.errors import FormatError, StorageError
from pipeline.labels import read_labels
from pipeline.manifest import ManifestOptions
from pipeline.shards.cutting import cut_shard
from pipeline.shards.errors_table import read_errors
from pipeline.shards.index import read_index
from pipeline.shards.plan import read_plan_counts, read_shard_plan
from pipeline.shards.policy import ClipPolicy
from pipeline.storage import publish as files
from pipeline.tables import read_table, write_table

INLINE = Executor(name="inline", limits=Limits())


@pytest.fixture
def videos(make_video, tmp_path):
    for name in ("a", "b", "c"):
        make_video(f"v/{name}.mp4", num_frames=24, seed=ord(name))
    return tmp_path / "v"


def shard(videos, root, video: str = "auto") -> None:
    config = ShardingConfig(
        inputs=(str(videos),),
        root=str(root),
        preset="auto",
        manifest=ManifestOptions(),
        policy=ClipPolicy(clip_frames=12, clips_per_shard=2, video=video),
        executor=INLINE,
    )
    make_shards(config, dry_run=False)


def label(root) -> str:
    queries = QueryPolicy(num_queries=25)
    config = LabelingConfig(root=str(root), labeler="lucas-kanade", labeler_options={}, queries=queries, executor=INLINE)
    return label_dataset(config, dry_run=False).label_set


def contents(root) -> dict[str, bytes]:
    return {uri.removeprefix(str(root)): storage.read_bytes(uri) for uri in storage.list_files(str(root))}


def test_no_space_left_in_the_middle(videos, tmp_path, monkeypatch, published):
    shard(videos, tmp_path / "undisturbed")
    calls, replace = count(1), files._replace

    def full_disk(temporary, target):
        if target.suffix == ".tar" and next(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(temporary, target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_replace", full_disk)
        with pytest.raises(
            StorageError, match=r"1 of 3 parts of this stage not committed.*no space left; free some, then run the same command again"
        ):
            shard(videos, tmp_path / "root")
    committed = sorted(path.name for path in (tmp_path / "root/shards").iterdir())
    assert committed == ["000000.parquet", "000000.tar", "000002.parquet", "000002.tar"]
    shard(videos, tmp_path / "root")
    assert published(tmp_path / "root") == published(tmp_path / "undisturbed")


def test_an_object_store_that_refuses_in_the_middle(videos, bucket):
    shard(videos, f"{bucket}/undisturbed")
    fs, _ = storage.file_system(bucket)
    refused = []

    class Empty:
        async def read(self) -> bytes:
            return b""

    def refuse_shard_one(request, **kwargs):
        if "/walks/shards/000001.tar" in request.url:
            refused.append(request.url)
            return aiobotocore.awsrequest.AioAWSResponse(request.url, 503, {}, Empty())
        return None

    fs.s3.meta.events.register_first("before-send.s3.PutObject", refuse_shard_one)
    try:
        with pytest.raises(StorageError, match=r"1 of 3 parts of this stage not committed.*000001.*run the same command again"):
            shard(videos, f"{bucket}/walks")
    finally:
        fs.s3.meta.events.unregister("before-send.s3.PutObject", refuse_shard_one)
    assert len(refused) >= 2
    assert not storage.exists(f"{bucket}/walks/shards/000001.parquet")
    assert storage.exists(f"{bucket}/walks/shards/000002.parquet")
    shard(videos, f"{bucket}/walks")
    assert contents(f"{bucket}/walks") == contents(f"{bucket}/undisturbed")
    assert label(f"{bucket}/walks") == label(f"{bucket}/undisturbed")
    assert contents(f"{bucket}/walks") == contents(f"{bucket}/undisturbed")


def test_a_shard_whose_tar_cannot_be_read_just_now_loses_no_other_labels(videos, tmp_path, monkeypatch):
    root = tmp_path / "root"
    shard(videos, root)
    (root / "shards/000001.tar").rename(tmp_path / "away.tar")
    with pytest.raises(StorageError, match="000001.tar: there is no such file"):
        label(root)
    (tmp_path / "away.tar").rename(root / "shards/000001.tar")
    assert len(dict(read_labels(str(root), label(root)))) == 6


def test_a_root_of_a_newer_version_is_refused_by_every_reader(videos, tmp_path):
    root = tmp_path / "root"
    shard(videos, root)
    plan = read_table(str(root / "plan/000000.parquet"), "plan")
    write_table(str(root / "plan/000000.parquet"), plan, "plan")
    import pyarrow.parquet as pq

    pq.write_table(plan.replace_schema_metadata({"trackmill_kind": "plan", "schema_version": "2"}), root / "plan/000000.parquet")
    with pytest.raises(FormatError, match="plan schema version 2, this trackmill reads up to 1; upgrade it"):
        read_plan_counts(str(root))
    with pytest.raises(FormatError, match="upgrade it"):
        label(root)


def test_a_clip_that_killed_its_worker_while_being_cut_is_left_out_and_named(videos, tmp_path):
    root = tmp_path / "root"
    shard(videos, root)
    for path in (root / "shards").iterdir():
        path.unlink()
    policy = ClipPolicy(clip_frames=12, clips_per_shard=2)
    culprit = read_shard_plan(str(root), 1)[0].key
    outcome = cut_shard(str(root), 1, policy, {culprit: f"{culprit}: killed its worker 2 times"})
    assert (outcome.clips, outcome.failed) == (1, 1)
    assert [entry.status for entry in read_index(str(root), 1)] == ["failed", "ok"]
    assert "killed its worker" in read_errors(str(root), "shards")[0].message


def test_a_source_that_went_away_after_probing_costs_its_own_clips(videos, tmp_path):
    root = tmp_path / "root"
    shard(videos, root)
    for path in (root / "shards").iterdir():
        path.unlink()
    (videos / "b.mp4").unlink()
    policy = ClipPolicy(clip_frames=12, clips_per_shard=2)
    outcomes = [cut_shard(str(root), number, policy, {}) for number in range(3)]
    assert [(outcome.clips, outcome.failed) for outcome in outcomes] == [(2, 0), (0, 2), (2, 0)]
    assert all("b.mp4: there is no file" in row.message for row in read_errors(str(root), "shards"))


def test_a_copy_that_does_not_show_the_planned_frames_is_not_stored(make_video, tmp_path):
    """A source whose packets are damaged so that it demuxes well and decodes badly: only the proof finds out."""
    path = make_video("v/a.mp4", num_frames=48)
    data = bytearray(path.read_bytes())
    middle = len(data) * 45 // 100
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    root = tmp_path / "root"
    shard(tmp_path / "v", root, video="copy")
    entries = [entry for number in range(2) for entry in read_index(str(root), number)]
    assert {entry.status for entry in entries} == {"ok", "failed"}
    messages = [row.message for row in read_errors(str(root), "shards")]
    assert any("what was cut does not show the planned frames; use --video h264" in message for message in messages), messages
