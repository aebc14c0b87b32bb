"""Tars that others wrote are registered where they lie; broken ones are named, the rest goes on."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.shards.errors_table import read_errors
from pipeline.shards.foreign import (
    ForeignTar,
    commit_registered,
    foreign_key,
    name_tars,
    plan_registered,
    register_tar,
    sample_keys,
    scan_tar,
)
from pipeline.shards.index import read_index, read_member, read_video
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


def test_a_picture_that_a_player_would_change_is_noted(make_video, tmp_path):
    data = bytearray(make_video(num_frames=8, rotation=90).read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # the matrix of a version-0 track header
    data[at : at + 20] = b"".join(value.to_bytes(4, "big", signed=True) for value in (-65536, 0, 0, 0, 65536))
    found = scan(write_tar(tmp_path / "00000.tar", {"a.mp4": bytes(data), "b.mp4": make_video("b.mp4", num_frames=8).read_bytes()}))
    records = [entry.record for entry in found.entries]
    assert [record.notes for record in records if record] == [("mirrored by the display matrix",), ()]


def write_members(path: Path, members: list[tuple[bytes, bytes]]) -> Path:
    """A tar whose names are bytes, as other tools write them."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name.decode(errors="surrogateescape"))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_names_that_are_not_utf8_are_escaped_and_their_videos_read(make_video, tmp_path):
    a, b = make_video(num_frames=8).read_bytes(), make_video("b.mp4", num_frames=7).read_bytes()
    path = write_members(tmp_path / "t.tar", [(b"caf\xe9.mp4", a), (b"caf\xe9.txt", b"caf\xe9"), (b"plain.mp4", b), (b"../x\n/y.mp4", b)])
    root = str(tmp_path / "root")
    assert register_tar(root, 0, ForeignTar(uri=str(path), name="t.tar"), shares=SHARES, license=None, crashed={}) == 0
    commit_registered(root, 0)
    entries = read_index(root, 0)
    assert [(e.sample_key, e.source, e.record.frames) for e in entries] == [
        ("caf%E9", "t.tar/caf%E9", 8),
        ("plain", "t.tar/plain", 7),
        ("../x\n/y", "t.tar/../x\n/y", 7),
    ]
    assert read_member(root, entries[0], entries[0].video) == a
    assert entries[0].record.extra["caption"] == "caf\ufffd"
    assert entries[0].record.notes == ("txt: not UTF-8, the bytes that are not became U+FFFD",)


def test_every_video_of_a_sample_is_a_clip_and_they_share_source_and_split(make_video, tmp_path):
    videos = [make_video(f"{n}.mp4", num_frames=n).read_bytes() for n in (8, 9, 10)]
    path = write_tar(
        tmp_path / "t.tar",
        {
            "walk.0001.mp4": videos[0],
            "walk.0001.json": b'{"n": 1, "videoid": "v"}',
            "walk.0002.mp4": videos[1],
            "walk.json": b'{"n": 0}',
            "two.left.mp4": videos[2],
            "two.right.mp4": b"no video",
            "one.mp4": videos[2],
        },
    )
    shares = {"train": 0.4, "val": 0.3, "test": 0.3}
    found = scan_tar(ForeignTar(uri=str(path), name="t.tar"), shares=shares, license=None, crashed={})
    first, second, left, right, one = found.entries
    assert [(e.sample_key, e.source) for e in (first, second)] == [("walk", "t.tar/walk.0001.mp4"), ("walk", "t.tar/walk.0002.mp4")]
    assert [(e.video.name, e.record.frames, e.record.extra["n"]) for e in (first, second)] == [("0001.mp4", 8, 1), ("0002.mp4", 9, 0)]
    assert {(e.source_id, e.split) for e in (first, second)} == {("v", first.split)}
    assert (left.source_id, left.split) == (right.source_id, right.split) == ("two", left.split)
    assert (left.status, right.status, one.status) == ("ok", "failed", "ok")
    assert len({e.key for e in found.entries}) == 5
    assert one.key == "one-" + foreign_key("t.tar", "one").split("-")[1] + "-w0000"
    for entry, data in ((first, videos[0]), (second, videos[1]), (left, videos[2])):
        assert read_video("", entry) == data


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b'{"a": ' * 3000 + b"1" + b"}" * 3000, "nested"),
        (b"[" * 150 + b"]" * 150, "nested more than 100 levels deep"),
        (b'{"a": "caf\xe9"}', "not valid JSON in UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"", "not valid JSON"),
    ],
)
def test_a_json_member_that_cannot_be_read_costs_its_sample(make_video, tmp_path, document, says):
    video = make_video(num_frames=8).read_bytes()
    found = scan(write_tar(tmp_path / "t.tar", {"a.mp4": video, "a.json": document, "b.mp4": video}))
    assert [entry.status for entry in found.entries] == ["failed", "ok"]
    assert "t.tar: sample a: its json member is" in found.errors[0].message
    assert says in found.errors[0].message


def test_a_json_member_that_cannot_be_stored_as_it_is_says_what_it_becomes(make_video, tmp_path):
    document = b'{"t": "x\\ud800y", "score": NaN, "n": 1e999, "license": ["A", "B"], "videoid": {"id": 1}, "big": %s}' % (b"9" * 400)
    path = write_tar(tmp_path / "t.tar", {"a.mp4": make_video(num_frames=8).read_bytes(), "a.json": document})
    root = str(tmp_path / "root")
    assert register_tar(root, 0, ForeignTar(uri=str(path), name="t.tar"), shares=SHARES, license=None, crashed={}) == 0
    commit_registered(root, 0)
    (entry,) = read_index(root, 0)
    assert entry.record.extra["t"] == "x\ufffdy"
    assert (entry.record.extra["score"], entry.record.extra["n"], entry.record.extra["big"]) == (None, None, int("9" * 400))
    assert (entry.license, entry.source_id) == ('["A", "B"]', '{"id": 1}')
    assert entry.record.notes == (
        "json: halves of surrogate pairs became U+FFFD",
        "json: NaN or infinity became null",
        "license is no text: its JSON counts as the text",
        "videoid is no text: its JSON counts as the text",
    )


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz", "zstd"])
def test_a_compressed_tar_is_refused_with_the_command_or_unpacked_once(tar, tmp_path, form):
    data, (pack, suffix, command) = (
        tar.read_bytes(),
        {
            "gzip": (gzip.compress, ".tar.gz", "gunzip"),
            "bzip2": (bz2.compress, ".tar.bz2", "bunzip2"),
            "xz": (lzma.compress, ".txz", "unxz"),
            "zstd": (lambda plain: pa.Codec("zstd").compress(plain, asbytes=True), ".tar", "unzstd -c <"),
        }[form],
    )
    packed = tmp_path / f"packed{suffix}"
    packed.write_bytes(pack(data))
    (row,) = scan(packed).errors
    assert f"compressed ({form})" in row.message
    assert f"`{command} packed{suffix}" in row.message
    root = str(tmp_path / "root")
    unpacked = ForeignTar(uri=str(packed), name=packed.name, unpack_below=root)
    assert register_tar(root, 0, unpacked, shares=SHARES, license=None, crashed={}) == 1  # the sample whose video is broken
    commit_registered(root, 0)
    entries = read_index(root, 0)
    assert [entry.status for entry in entries] == ["ok", "ok", "failed"]
    (file,) = (tmp_path / "root/tars").iterdir()
    assert file.read_bytes() == data
    assert entries[0].tar == f"tars/{file.name}"
    assert read_member(root, entries[0], entries[0].member("txt")) == "a café".encode()
    assert sample_keys(unpacked) == [entry.key for entry in entries]
    packed.write_bytes(pack(data)[:-40])
    broken = scan_tar(replace(unpacked, name="other"), shares=SHARES, license=None, crashed={})
    assert f"its {form} data are damaged or cut short" in broken.errors[0].message


def test_files_that_are_no_tars_are_named(tar, tmp_path):
    for name, data, says in (
        ("e.tar", b"", "empty (0 bytes)"),
        ("n.tar", b"no tar " * 999, "not a tar"),
        ("z.tar", bytes(10240), "found nothing"),
    ):
        (tmp_path / name).write_bytes(data)
        (row,) = scan(tmp_path / name).errors
        assert says in row.message
    (tmp_path / "d.tar").mkdir()
    assert "it is a folder" in scan(tmp_path / "d.tar").errors[0].message


def test_links_and_joined_tars_are_read_or_said(make_video, tmp_path):
    video = make_video(num_frames=8).read_bytes()
    path = write_tar(tmp_path / "t.tar", {"a.mp4": video})
    with tarfile.open(tmp_path / "u.tar", "w") as more:
        for name, kind, target in (("b.mp4", b"1", "a.mp4"), ("c.mp4", b"2", "a.mp4"), ("d.mp4", b"0", ""), ("e.jpg", b"2", "a.jpg")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            more.addfile(info)
    path.write_bytes(path.read_bytes() + (tmp_path / "u.tar").read_bytes())
    found = scan(path)
    assert [(entry.sample_key, entry.status) for entry in found.entries] == [("a", "ok"), ("b", "ok"), ("c", "failed"), ("d", "failed")]
    assert found.entries[1].video == found.entries[0].video
    said = " ".join(row.message for row in found.errors)
    assert all(
        text in said for text in ("mp4 cannot be read: it is a symbolic link", "is empty (0 bytes)", "the first is 'e.jpg', are left out")
    )
