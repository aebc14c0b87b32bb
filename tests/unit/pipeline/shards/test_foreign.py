"""Tars that others wrote are registered where they lie; broken ones are named, the rest goes on."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.shards.errors_table import read_errors
from pipeline.shards.foreign import ForeignTar, commit_registered, name_tars, plan_registered, register_tar, sample_keys, scan_tar
from pipeline.shards.index import read_index, read_member
from pipeline.shards.plan import read_plan_counts, write_plan
from pipeline.shards.source_roots import SourceRoots
from pipeline.video.reader import read_clip_frames

SHARES = {"train": 1.0, "val": 0.0, "test": 0.0}


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def tar(make_video, tmp_path) -> Path:
    """As video2dataset writes them: two videos with caption and json, one sample whose video is broken, one without video."""
    return write_tar(
        tmp_path / "00000.tar",
        {
            "000000000.mp4": make_video(num_frames=12).read_bytes(),
            "000000000.txt": "a café".encode(),
            "000000000.json": json.dumps({"videoid": "abc", "url": "https://example.org/abc"}).encode(),
            "sub.dir/000000001.mp4": make_video("b.mp4", num_frames=8, form="h264-b-frames").read_bytes(),
            "000000002.mp4": b"no video",
            "000000003.txt": b"only text",
        },
    )


def scan(path: Path):
    return scan_tar(ForeignTar(uri=str(path), name=path.name), shares=SHARES, license="CC-BY", crashed={})


def test_every_video_sample_becomes_an_entry_with_its_byte_range(tar):
    found = scan(tar)
    assert [entry.sample_key for entry in found.entries] == ["000000000", "sub.dir/000000001", "000000002"]
    first = found.entries[0]
    assert first.record is not None
    assert (first.record.frames, first.record.video, first.source_id, first.license) == (12, "foreign", "abc", "CC-BY")
    assert first.record.extra["caption"] == "a café"
    data = tar.read_bytes()[first.video.offset : first.video.offset + first.video.length]
    assert read_clip_frames(data, first.record).shape == (12, 96, 160, 3)


def test_a_broken_video_is_an_error_row_and_the_others_stay(tar):
    found = scan(tar)
    assert [entry.status for entry in found.entries] == ["ok", "ok", "failed"]
    assert len(found.errors) == 1
    assert "00000.tar: sample 000000002" in found.errors[0].message


def test_a_truncated_tar_keeps_its_whole_samples_and_says_so(tar, tmp_path):
    cut = tmp_path / "cut.tar"
    with tarfile.open(tar) as whole:
        second = whole.getmembers()[3]
    cut.write_bytes(tar.read_bytes()[: second.offset_data + second.size // 2])
    found = scan(cut)
    assert [entry.sample_key for entry in found.entries] == ["000000000"]
    assert any("cut.tar: damaged after 1 whole samples" in row.message and "fetch it again" in row.message for row in found.errors)


def test_a_tar_without_videos_is_named_with_what_it_holds(tmp_path):
    path = write_tar(tmp_path / "images.tar", {"a.jpg": b"x", "a.json": b"{}"})
    found = scan(path)
    assert found.entries == ()
    assert "no sample has a video member (found jpg, json)" in found.errors[0].message


def test_a_sample_that_killed_a_worker_is_left_out(tar):
    key = sample_keys(ForeignTar(uri=str(tar), name=tar.name))[0]
    found = scan_tar(ForeignTar(uri=str(tar), name=tar.name), shares=SHARES, license=None, crashed={key: f"{key}: killed its worker"})
    assert [entry.status for entry in found.entries] == ["failed", "ok", "failed"]
    assert any("killed its worker" in row.message for row in found.errors)


def test_registering_copies_nothing_and_reads_back(tar, tmp_path):
    root = str(tmp_path / "root")
    assert register_tar(root, 0, ForeignTar(uri=str(tar), name=tar.name), shares=SHARES, license=None, crashed={}) == 1
    write_plan(root, iter(plan_registered(root, 0)))
    assert commit_registered(root, 0) == 3
    assert read_plan_counts(root).counts("train").tolist() == [3]
    entries = read_index(root, 0)
    assert entries[1].tar == str(tar)
    assert read_member(root, entries[0], entries[0].member("txt")) == "a café".encode()
    np.testing.assert_allclose(entries[1].record.timestamps, np.arange(8) / 30, atol=1e-6)
    assert [row.key for row in read_errors(root, "shards")] == [entries[2].key]
    assert list((tmp_path / "root").rglob("*.tar")) == []


def test_tars_are_named_below_the_folder_that_holds_them_all():
    names = [tar.name for tar in name_tars(["s3://b/x/a/00000.tar", "s3://b/x/b/00000.tar"], {}, SourceRoots())]
    assert names == ["a/00000.tar", "b/00000.tar"]
    assert [tar.name for tar in name_tars(["/data/t/00000.tar", "/data/t/00001.tar"], {}, SourceRoots())] == ["00000.tar", "00001.tar"]
    assert [tar.name for tar in name_tars(["/data/t/00000.tar"], {}, SourceRoots())] == ["00000.tar"]


def test_a_key_that_occurs_twice_is_an_error_and_not_one_of_the_two(make_video, tmp_path):
    path = tmp_path / "twice.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("a.mp4", "b.mp4", "c.mp4"):
            tar.add(make_video(name, num_frames=8), "000002.mp4" if name == "b.mp4" else "000001.mp4")
    found = scan(path)
    assert [(entry.sample_key, entry.status) for entry in found.entries] == [("000001", "failed"), ("000002", "ok")]
    (row,) = found.errors
    assert "twice.tar: sample 000001: its key occurs more than once in the tar (mp4)" in row.message
