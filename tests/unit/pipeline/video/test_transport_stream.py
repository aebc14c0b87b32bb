"""Where a transport stream lost data, by the counters of its packets: streams written byte by byte."""

import io

import numpy as np
import pytest

from pipeline.video.transport_stream import read_pes_packets

PID = 256
PES = b"\0\0\1\xe0\0\0\x80\x80\x05" + bytes(5)  # its header: a time of 5 bytes
PICTURE = PES + b"\0\0\1\x09\xf0"  # H.264: an access unit delimiter


def packet(counter: int, payload: bytes = b"data", *, begins: bool = False, extension: bytes = b"", pid: int = PID) -> bytes:
    """188 bytes: header, adaptation field, payload. No payload: `payload` is empty."""
    header = bytes([0x47, begins << 6 | pid >> 8, pid & 255, (bool(extension) << 5) | (bool(payload) << 4) | counter % 16])
    field = bytes([len(extension)]) + extension if extension else b""
    return (header + field + payload).ljust(188, b"\xff")


def stream(*, lost: tuple[int, ...] = (), payload: bytes = PICTURE) -> list[bytes]:
    """Five pictures of four packets each, some of the 20 packets lost."""
    whole = [packet(place, payload if place % 4 == 0 else b"data", begins=place % 4 == 0) for place in range(20)]
    return [each for place, each in enumerate(whole) if place not in lost]


def damaged(data: bytes, positions: list[int] | None = None) -> list[int] | None:
    """Numbers of the damaged PES packets, as far as they are there."""
    packets = read_pes_packets(io.BytesIO(data), PID, "h264")
    found = packets.damaged(packets.starts if positions is None else np.array(positions))
    return None if found is None else np.flatnonzero(found).tolist()


@pytest.mark.parametrize(("lost", "hit"), [
    ((), []),
    ((9,), [2]),
    ((11,), [2]),  # the last of a picture
    ((8,), [1]),  # the first: the packets behind it are taken for a part of the picture before
    ((7, 8, 9), [1]),
    ((1, 13), [0, 3]),
    ((0,), []),  # nothing of that picture is read at all
    ((7, 8, 9, 10, 11, 12, 13, 14, 15), [1]),
])  # fmt: skip
def test_a_jump_of_the_counter_is_a_loss(lost, hit):
    assert damaged(b"".join(stream(lost=lost))) == hit


@pytest.mark.parametrize("distance", [188, 192, 204])
def test_a_time_before_a_packet_or_parity_behind_it(distance):
    before = 4 if distance == 192 else 0
    data = b"".join(bytes(before) + each + bytes(distance - 188 - before) for each in stream(lost=(9,)))
    assert damaged(data) == [2]
    assert damaged(b"G" + bytes(98) + data) == [2]  # the tail of something else before it
    assert damaged(data[:-100] if distance == 188 else data[:-116]) == [2, 4]  # it ends within a packet


def test_what_is_no_loss():
    packets = stream()
    packets[9:9] = [packet(8, b"", extension=b"\0"), packet(3, pid=257), packet(77, pid=0x1FFF)]  # without payload; of others
    assert damaged(b"".join(packets)) == []
    packets = stream(lost=(9, 10))
    packets[9] = packet(11, extension=b"\x80")  # announced
    assert damaged(b"".join(packets)) == []


def test_other_damage():
    packets = stream()
    assert damaged(b"".join([*packets[:10], packets[9], *packets[10:]])) == [2]  # repeated: libav takes its payload twice
    noted = packets[9][:1] + bytes([packets[9][1] | 0x80]) + packets[9][2:]
    assert damaged(b"".join([*packets[:9], noted, *packets[10:]])) == [2]  # says of itself that it is damaged
    data = b"".join(packets)
    assert damaged(data[: 9 * 188 + 50] + data[9 * 188 + 99 :]) == [2]  # bytes are missing


def test_a_picture_that_goes_on_behind_the_beginning_of_the_next_packet_of_pictures():
    assert damaged(b"".join(stream(lost=(9,), payload=PES + b"\x55" * 40))) == [1, 2]


def test_several_pictures_in_one_packet_and_positions_of_something_else():
    data = b"".join(stream(lost=(9,)))
    starts = read_pes_packets(io.BytesIO(data), PID, "h264").starts.tolist()
    assert damaged(data, [starts[0], starts[2], -1, starts[3]]) == [
        1,
        2,
    ]  # of the second packet's rest nothing came: it is the first picture's
    assert damaged(data, [starts[0], starts[1], starts[4]]) == [1]  # the third packet gave no picture of its own
    assert damaged(data, [starts[0], starts[1] + 188]) is None
    assert damaged(data, [starts[1], starts[0]]) is None
    assert damaged(data, [-1, -1]) is None
