"""jobs/shard.py from the command line: folders, tables, tars, broken videos, and what it leaves on disk."""

import io
import json
import tarfile

import av
import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset

from jobs.shard import app as shard_app
from pipeline.shards.index import read_index
from pipeline.stream import ClipStream, StreamConfig


@pytest.fixture
def videos(make_video, tmp_path):
    """A folder of four good videos in different forms, with names that need care."""
    make_video("videos/plain.mp4", num_frames=60)
    make_video("videos/день 1/my.video one.mkv", num_frames=70, form="h264-open-gop")
    make_video("videos/tall.mp4", num_frames=20, form="h264-b-frames", rotation=90)
    make_video("videos/slow.mp4", num_frames=6, ticks=[0, 30, 60, 90, 120, 150])
    return tmp_path / "videos"


def errors(root) -> list[tuple[str, str]]:
    return duckdb.sql(f"select stage, message from '{root}/errors/**/*.parquet' order by all").fetchall()


def test_a_folder_becomes_shards_that_plain_tools_read(videos, tmp_path, run_job):
    root = tmp_path / "root"
    done = run_job(
        "shard.py",
        videos,
        "--root",
        root,
        "--executor",
        "inline",
        "--video",
        "copy",
        "--clip-frames",
        24,
        "--clips-per-shard",
        4,
        "--license",
        "CC0",
    )
    assert "8, 156 frames in all, in 2 shards" in done.stdout
    samples = list(webdataset.WebDataset(str(root / "shards/{000000..000001}.tar"), shardshuffle=False))
    assert len(samples) == 8
    for sample in samples:
        record = json.loads(sample["json"])
        assert record["key"] == sample["__key__"]
        assert record["license"] == "CC0"
        with av.open(io.BytesIO(sample["mp4"])) as container:
            assert sum(1 for _ in container.decode(video=0)) == record["frames"] == len(record["timestamps"])
    index = duckdb.sql(f"select key, tar, members, width, height, sha256 from '{root}/shards/*.parquet' where status = 'ok'").fetchall()
    key, tar, members, *_ = index[0]
    video = next(member for member in members if member["name"] == "mp4")
    stored = (root / "shards" / tar).read_bytes()[video["offset"] : video["offset"] + video["length"]]
    assert stored == next(sample["mp4"] for sample in samples if sample["__key__"] == key)
    assert {(width, height) for *_, width, height, _ in index} == {(160, 96), (96, 160)}
    assert not list(root.rglob("*.tmp"))


def test_running_it_again_changes_nothing_and_other_options_are_refused(videos, tmp_path, run_job, published):
    root = tmp_path / "root"
    arguments = (videos, "--root", root, "--executor", "inline")
    run_job("shard.py", *arguments)
    before = published(root)
    run_job("shard.py", *arguments)
    assert published(root) == before
    refused = run_job("shard.py", *arguments, "--clip-frames", 24, code=2)
    assert "clip_frames: 48 -> 24" in refused.stderr
    assert "give another --root" in refused.stderr


def test_a_dry_run_cuts_nothing_and_may_be_followed_by_other_options(videos, tmp_path, run_job):
    root = tmp_path / "root"
    done = run_job("shard.py", videos, "--root", root, "--executor", "inline", "--dry-run", "--video", "copy")
    assert "times the bytes of their frames" in done.stdout
    assert not (root / "shards").exists()
    run_job("shard.py", videos, "--root", root, "--executor", "inline", "--video", "h264", "--long-side", 80)
    assert pq.read_table(root / "shards/000000.parquet")["video"].unique().to_pylist() == ["h264"]


def test_broken_sources_are_rows_and_the_others_are_cut(videos, tmp_path, run_job):
    good = (videos / "plain.mp4").read_bytes()
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "text.mp4").write_text("hello")
    (videos / "truncated.mp4").write_bytes(good[: len(good) * 6 // 10])
    root = tmp_path / "root"
    done = run_job("shard.py", videos, "--root", root, "--executor", "inline", code=3)
    assert "3 of" in done.stderr
    found = errors(root)
    assert [stage for stage, _ in found] == ["probe"] * 3
    for name in ("empty.mp4", "text.mp4", "truncated.mp4"):
        assert any(name in message and ("fetch it again" in message or "drop it" in message) for _, message in found)
    assert pq.read_table(root / "shards/000000.parquet").num_rows == 6
    run_job("shard.py", videos, "--root", root, "--executor", "inline", "--max-error-rate", 0.9)


def test_a_single_frame_a_short_video_and_a_span_beyond_the_end(make_video, tmp_path, run_job):
    make_video("v/one.mp4", num_frames=1)
    make_video("v/long.mp4", num_frames=60)
    (tmp_path / "clips.csv").write_text(
        "file,from,to,caption\nlong.mp4,0.5,1.5,fine\nlong.mp4,1.0,9.0,beyond\none.mp4,,,single\ngone.mp4,0,1,missing\nlong.mp4,3,2,backwards\n"
    )
    root = tmp_path / "root"
    arguments = ("--video-root", tmp_path / "v", "--col-path", "file", "--col-start", "from", "--col-end", "to", "--executor", "inline")
    run_job("shard.py", tmp_path / "clips.csv", "--root", root, *arguments, code=3)
    messages = [message for _, message in errors(root)]
    assert len(messages) == 4
    for expected in ("row 2", "row 3", "row 4", "row 5"):
        assert any(expected in message for message in messages), (expected, messages)
    (record,) = (json.loads(sample["json"]) for sample in webdataset.WebDataset(str(root / "shards/000000.tar"), shardshuffle=False))
    assert (record["start_s"], record["frames"], record["extra"]["caption"]) == (0.5, 30, "fine")


def test_a_wrong_column_names_those_that_are_there(make_video, tmp_path, run_job):
    make_video("v/a.mp4", num_frames=10)
    (tmp_path / "clips.csv").write_text("file,start\na.mp4,0\n")
    done = run_job("shard.py", tmp_path / "clips.csv", "--root", tmp_path / "root", "--col-path", "path", "--executor", "inline", code=2)
    assert "file" in done.stderr
    assert "--col-path" in done.stderr


def test_scene_cuts_split_clips_at_the_cut(make_video, tmp_path, run_job):
    with av.open(str(tmp_path / "cut.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for index in range(60):
            colour = (200, 40, 40) if index < 25 else (20, 60, 220)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((96, 160, 3), colour, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    root = tmp_path / "root"
    run_job("shard.py", tmp_path / "cut.mp4", "--root", root, "--scene-cuts", "--executor", "inline")
    table = pq.read_table(root / "shards/000000.parquet")
    assert table["frames"].to_pylist() == [25, 35]


def test_sekais_cameras_travel_with_the_clips(make_video, tmp_path, run_job):
    make_video("files/_FP8j6WfkTY/_FP8j6WfkTY_0000030_0000090.mp4", num_frames=60)
    poses = np.tile(np.eye(4), (60, 1, 1))
    poses[:, 0, 3] = np.arange(60) / 100
    np.savez(
        tmp_path / "files/_FP8j6WfkTY_0000030_0000090.npz", extrinsic=poses, intrinsic=np.array([[0.8, 0, 0.5], [0, 1.2, 0.5], [0, 0, 1]])
    )
    (tmp_path / "sekai.csv").write_text(
        "﻿videoFile,cameraFile,location,caption\n"
        '_FP8j6WfkTY_0000030_0000090.mp4,_FP8j6WfkTY_0000030_0000090.npz,Kyoto,"a walk,\nin the rain"\n',
        encoding="utf-8",
    )
    root = tmp_path / "root"
    arguments = ("--preset", "sekai", "--video-root", tmp_path / "files", "--executor", "inline", "--video", "copy")
    run_job("shard.py", tmp_path / "sekai.csv", "--root", root, *arguments)
    samples = list(webdataset.WebDataset(str(root / "shards/000000.tar"), shardshuffle=False))
    record, arrays = json.loads(samples[1]["json"]), np.load(io.BytesIO(samples[1]["arrays.npz"]))
    assert (record["pose_source"], record["is_metric"], record["extra"]["location"]) == ("pseudo", False, "Kyoto")
    np.testing.assert_allclose(arrays["camera_to_world"][:, 0, 3], np.arange(48, 60) / 100, atol=1e-6)
    np.testing.assert_allclose(arrays["intrinsics"][0], [[0.8 * 160, 0, 79.5], [0, 1.2 * 96, 47.5], [0, 0, 1]], atol=1e-4)


def test_tars_of_others_are_registered_where_they_lie(make_video, tmp_path, run_job):
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        tar.add(make_video("a.mp4", num_frames=12), "00000_1.mp4")
        tar.add(make_video("b.mp4", num_frames=9), "00000_2.mp4")
    root = tmp_path / "root"
    done = run_job("shard.py", tmp_path / "*.tar", "--preset", "webdataset", "--root", root, "--executor", "inline")
    assert "2, 21 frames in all, in 1 shard" in done.stdout
    assert not list(root.rglob("*.tar"))
    rows = duckdb.sql(f"select sample_key, tar, frames, video from '{root}/shards/*.parquet'").fetchall()
    assert rows == [("00000_1", "root://0/00000.tar", 12, "foreign"), ("00000_2", "root://0/00000.tar", 9, "foreign")]
    assert json.loads((root / "source_roots.json").read_text())["roots"] == {"0": str(tmp_path)}
    assert {entry.tar for entry in read_index(str(root), 0)} == {str(tmp_path / "00000.tar")}


def test_a_root_of_registered_tars_grows_and_their_folder_may_move(make_video, tmp_path, run_app, published):
    def pack(name: str, video: str) -> None:
        with tarfile.open(tmp_path / "theirs" / name, "w") as tar:
            tar.add(make_video(video, num_frames=12), "000.mp4")

    def register(folder, *more) -> None:
        run_app(shard_app, folder, "--preset", "webdataset", "--root", root, "--executor", "inline", *more)

    root, theirs = tmp_path / "root", tmp_path / "theirs"
    theirs.mkdir()
    pack("b.tar", "b.mp4")
    register(theirs)
    before = published(root)
    pack("a.tar", "a.mp4")
    moved = theirs.rename(tmp_path / "moved")
    register(moved, "--source-root", f"0={moved}")
    changes = ("dataset.json", "source_roots.json")
    assert {name: digest for name, digest in published(root).items() if name in before and name not in changes} == {
        name: digest for name, digest in before.items() if name not in changes
    }
    samples = list(ClipStream(StreamConfig(root=root, num_frames=None, epochs=1, shuffle=False)))
    assert [sample.source for sample in samples] == ["b.tar/000", "a.tar/000"]
