"""Setting when the presentation of an mp4 ends, in place (ISO/IEC 14496-12: mvhd, tkhd, elst)."""

import struct
from collections.abc import Iterator

from pipeline.errors import DataError

_CONTAINERS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")


def show_until(data: bytearray | memoryview, end_s: float) -> None:
    """Write into an mp4 that its one video track is shown from its edit list's start for `end_s` seconds and no longer.

    Raises: DataError if the file has no edit list of one entry (the muxer always writes it where lead-in frames precede the clip).
    """
    boxes = dict(_boxes(data, 0, len(data)))
    if b"mvhd" not in boxes or b"tkhd" not in boxes:
        raise DataError("the mp4 has no movie or track header")
    at, version = boxes[b"mvhd"], data[boxes[b"mvhd"]]
    (timescale,) = struct.unpack_from(">I", data, at + (20 if version else 12))
    duration = round(end_s * timescale)
    _put(data, at + (24 if version else 16), version, duration)
    at, version = boxes[b"tkhd"], data[boxes[b"tkhd"]]
    _put(data, at + (28 if version else 20), version, duration)
    if b"elst" not in boxes:
        raise DataError("the mp4 has no edit list")
    at, version = boxes[b"elst"], data[boxes[b"elst"]]
    entries = struct.unpack_from(">I", data, at + 4)[0]
    if entries != 1:
        raise DataError(f"the mp4 has an edit list of {entries} entries, expected 1")
    _put(data, at + 8, version, duration)


def boxes_of(mp4: bytes) -> Iterator[tuple[bytes, int]]:
    """(type, offset of the content) of every box of a file."""
    return _boxes(mp4, 0, len(mp4))


def _put(data: bytearray | memoryview, at: int, version: int, value: int) -> None:
    struct.pack_into(">Q" if version else ">I", data, at, value)


def _boxes(data: bytes | bytearray | memoryview, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """(type, offset of the content) of every box; the content of the movie and track boxes is walked too."""
    at = start
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if length == 1:
            length, header = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif length == 0:
            length = end - at
        if kind in _CONTAINERS:
            yield from _boxes(data, at + header, at + length)
        else:
            yield kind, at + header
        at += length
