"""Boxes of an mp4 with one video track (ISO/IEC 14496-12): the end of its presentation set in place, and its sample table."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SampleTable:
    """P packets in stored order, as the file's header lists them."""

    times_s: np.ndarray  # float64 "P", presentation, from the edit list's start
    sizes: np.ndarray  # int64 "P", bytes
    begins_with_key: bool
    media_bytes: int  # of the part of the file that holds the packets


def read_sample_table(mp4: bytes) -> SampleTable:
    """Read it without opening the file with libav, which would decode a picture. Raises: DataError if a box is missing or too short."""
    boxes = dict(boxes_of(mp4))
    try:
        timescale = struct.unpack_from(">I", mp4, boxes[b"mdhd"] + (20 if mp4[boxes[b"mdhd"]] else 12))[0]
        uniform, count = struct.unpack_from(">II", mp4, boxes[b"stsz"] + 4)
        sizes = np.full(count, uniform) if uniform else np.frombuffer(mp4, ">u4", count, boxes[b"stsz"] + 12)
        steps = _runs(mp4, boxes[b"stts"])
        decoding = np.concatenate([[0], np.cumsum(steps)])[:count]
        offsets = _runs(mp4, boxes[b"ctts"]) if b"ctts" in boxes else np.zeros(count, np.int64)
        media_time = 0
        if b"elst" in boxes:
            wide = mp4[boxes[b"elst"]] == 1
            media_time = struct.unpack_from(">q" if wide else ">i", mp4, boxes[b"elst"] + (16 if wide else 12))[0]
        first_key = struct.unpack_from(">I", mp4, boxes[b"stss"] + 8)[0] if b"stss" in boxes else 1
        media_bytes = struct.unpack_from(">I", mp4, boxes[b"mdat"] - 8)[0] - 8
    except (KeyError, struct.error, ValueError) as error:
        raise DataError(f"the mp4's header is not whole ({error})") from error
    if len(decoding) != count or len(offsets) != count:
        raise DataError(f"the mp4 lists {count} packets, but times of {len(decoding)}")
    times = (decoding + offsets - media_time) / timescale
    return SampleTable(times_s=times, sizes=sizes.astype(np.int64), begins_with_key=first_key == 1, media_bytes=media_bytes)


def _runs(mp4: bytes, at: int) -> np.ndarray:
    """int64: values of a box that stores (how many, value) pairs."""
    entries = struct.unpack_from(">I", mp4, at + 4)[0]
    pairs = np.frombuffer(mp4, ">u4", 2 * entries, at + 8).reshape(-1, 2)
    return np.repeat(pairs[:, 1].astype(np.int32).astype(np.int64), pairs[:, 0].astype(np.int64))
