"""The headers of hostile and damaged tars: what can be had is listed, the rest is said, and the walk ends."""

import io
import tarfile
from pathlib import Path

import pytest

from pipeline.shards.tar_headers import BLOCK, parse_number, readable_key, readable_name
from pipeline.shards.tar_reading import TarListing, list_members


def tar_of(*members: tuple[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytearray:
    """A tar without padding at its end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return bytearray(buffer.getvalue())


def edited(data: bytearray, header: int, place: int, value: bytes) -> bytes:
    """The tar with a field of the header at byte `header` changed, and its checksum made right again."""
    data = bytearray(data)
    data[header + place : header + place + len(value)] = value
    block = data[header : header + BLOCK]
    block[148:156] = b" " * 8
    data[header + 148 : header + 156] = b"%06o\0 " % sum(block)
    return bytes(data)


def listed(data: bytes) -> TarListing:
    return list_members(io.BytesIO(data), len(data))


THREE = (("a.mp4", b"A" * 700), ("b.mp4", b"B" * 100), ("c.mp4", b"C" * 10))
SECOND = 512 + 1024  # where the header of b.mp4 lies


def readable(data: bytes) -> dict[str, bytes]:
    """Content of the members that can be had."""
    return {each.name: bytes(data[each.offset : each.offset + each.length]) for each in listed(data).members if each.fault is None}


def test_a_sound_tar_is_listed_as_tarfile_does():
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        data = tar_of(("sub/" * 40 + "é" * 60 + ".mp4", b"long"), *THREE, form=form) if form != tarfile.USTAR_FORMAT else tar_of(*THREE)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            expected = [(info.name, info.offset_data, info.size) for info in tar]
        assert [(each.name, each.offset, each.length) for each in listed(data).members] == expected
        assert listed(data).breaks == ()


@pytest.mark.parametrize(
    "size",
    [b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"99999999999\0", b"not a size\0\0", b"77777777777\0"],
    ids=["negative", "huge", "no-octal", "text", "beyond"],
)
def test_a_header_with_an_absurd_size_costs_its_own_member(size):
    data = edited(tar_of(*THREE), SECOND, 124, size)
    assert readable(data) == {"a.mp4": b"A" * 700, "c.mp4": b"C" * 10}
    found = listed(data)
    assert found.before_break == 1
    assert len(found.breaks) == 1
    assert "b.mp4" in found.breaks[0]
    assert "at byte 1536" in found.breaks[0]


@pytest.mark.parametrize("size", [b"99999999999999999999999999", b"-5", b"abc", b"88888888"])
def test_a_pax_header_with_an_absurd_size_costs_its_own_member(size):
    record = b"size=" + size + b"\n"
    record = b"%d " % (len(record) + 3) + record
    pax = edited(tar_of(("pax", record)), 0, 156, b"x")[:1024]
    data = bytes(tar_of(THREE[0])[:SECOND]) + pax + bytes(tar_of(*THREE)[SECOND:])
    assert readable(data) == {"a.mp4": b"A" * 700, "c.mp4": b"C" * 10}
    assert "b.mp4" in listed(data).breaks[0]


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
def test_an_extension_header_of_absurd_size_is_said(flag):
    extension = edited(edited(tar_of(("e", b"")), 0, 156, flag), 0, 124, b"77777777777\0")[:512]
    found = listed(bytes(extension) + bytes(tar_of(*THREE)))
    assert "extension header declares 8589934591 bytes" in found.breaks[0]
    assert [each.name for each in found.members if each.fault is None] == ["b.mp4", "c.mp4"]


def test_a_pax_header_that_does_not_parse_costs_its_member():
    pax = edited(tar_of(("pax", b"nonsense")), 0, 156, b"x")[:1024]
    found = listed(pax + bytes(tar_of(*THREE)))
    assert [(each.name, each.fault) for each in found.members] == [
        ("a.mp4", "its PAX header does not parse"),
        ("b.mp4", None),
        ("c.mp4", None),
    ]


def test_a_sparse_member_is_said_and_its_neighbours_are_read():
    data = edited(tar_of(*THREE), SECOND, 156, b"S")
    assert readable(data) == {"a.mp4": b"A" * 700, "c.mp4": b"C" * 10}
    assert "stored sparse" in listed(data).members[1].fault
    bad_map = edited(bytearray(data), SECOND, 482, b"\1")  # its map goes on in blocks that are none: the rest of the file is searched
    assert "a.mp4" in readable(bad_map)


def test_joined_tars_are_read_on(tmp_path: Path):
    joined = bytes(tar_of(THREE[0])) + bytes(tar_of(*THREE[1:]))
    assert readable(joined) == dict(THREE)
    assert listed(joined).breaks == ()
    junk = bytes(tar_of(THREE[0])) + b"junk" * 200
    assert readable(junk) == {"a.mp4": b"A" * 700}
    assert "no header where one belongs" in listed(junk).breaks[0]


def test_links_resolve_or_are_said():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, target in (("a.mp4", b"0", ""), ("b.mp4", b"1", "a.mp4"), ("c.mp4", b"1", "gone.mp4"), ("d.mp4", b"2", "a.mp4")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, 3 if kind == b"0" else 0
            tar.addfile(info, io.BytesIO(b"AAA"))
    data = buffer.getvalue()
    assert readable(data) == {"a.mp4": b"AAA", "b.mp4": b"AAA"}
    faults = [each.fault for each in listed(data).members]
    assert "hard link to gone.mp4, which is not in the tar" in faults[2]
    assert "symbolic link" in faults[3]


def test_a_damaged_header_costs_its_member_and_not_what_follows():
    data = tar_of(*THREE)
    data[SECOND + 3] ^= 0xFF
    assert readable(data) == {"a.mp4": b"A" * 700, "c.mp4": b"C" * 10}
    assert listed(data).breaks == ("no header where one belongs (at byte 1536)",)


def test_every_cut_of_a_tar_ends_and_keeps_what_is_whole():
    data = bytes(tar_of(*THREE))
    for length in range(0, 3600, 97):
        found = readable(data[:length])
        assert ("a.mp4" in found) == (length >= 512 + 700)
        assert ("b.mp4" in found) == (length >= SECOND + 512 + 100)


def test_names_that_are_not_utf8_are_escaped_without_loss():
    assert readable_name(b"caf\xe9.mp4") == "caf%E9.mp4"
    assert readable_name(b"50%\xe9.mp4") == "50%25%E9.mp4"
    assert readable_name("café%.mp4".encode()) == "café%.mp4"
    assert readable_key("caf\udce9") == "caf%E9"
    assert readable_key("café%") == "café%"
    assert parse_number(b"\x80" + b"\0" * 10 + b"\x07") == 7
