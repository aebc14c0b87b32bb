"""Pictures of an MPEG transport stream that lost data, by the continuity counters of its packets (ISO/IEC 13818-1, 2.4.3 and 2.14).

libav marks the PES packet within which a counter jumps, but its parser hands the mark on with the picture before, and with none if
the PES packet is the first. Its payload holds a repeated packet twice, so that is damage here too; an announced jump is none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

_SYNC, _LENGTH, _DISTANCES = 0x47, 188, (188, 192, 204)  # bytes: a packet, and from one to the next (with a time, or with parity)
_RUN = 5  # packets in a row that begin with the sync byte
_CHUNK = 1 << 22  # bytes read at once
# Units that begin a picture, at the beginning of a PES packet: (bits of the byte behind the start code, values)
_FIRST_UNITS = {
    "h264": (0x1F, (6, 7, 8, 9)),
    "hevc": (0x7E, (32 << 1, 33 << 1, 34 << 1, 35 << 1, 39 << 1)),
    **dict.fromkeys(("mpeg1video", "mpeg2video"), (0xFF, (0x00, 0xB3, 0xB8))),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PesPackets:
    """S PES packets of one stream in stored order."""

    starts: np.ndarray  # int64 "S": where in the file, as libav's packets state their position
    torn: np.ndarray  # bool "S": data are missing between its first packet and the next one's
    aligned: np.ndarray  # bool "S": begins with a new picture, so that nothing of the one before is in it

    def damaged(self, positions: np.ndarray) -> np.ndarray | None:
        """bool "P": pictures of which something is missing, or that are followed by something missing.

        Args: positions int64 "P", where libav says that the pictures begin; negative: within the same PES packet as the one before.
        Returns: None where these are not positions of PES packets in order: another stream's, or the file is damaged otherwise.
        """
        known = positions[positions >= 0]
        if (np.diff(known) < 0).any() or not np.isin(known, self.starts).all() or not len(known):
            return None
        first = np.searchsorted(self.starts, np.maximum.accumulate(np.maximum(positions, known[0])))
        end = np.append(np.unique(first), len(self.starts))[np.unique(first, return_inverse=True)[1] + 1]
        reaches = np.append(~self.aligned, False)[end]  # the last part of the picture may lie behind the next start
        torn_before = np.concatenate([[0], np.cumsum(self.torn), [self.torn.sum()]])
        return np.asarray(torn_before[end + reaches] > torn_before[first])


def read_pes_packets(file: IO[bytes], pid: int, codec: str) -> PesPackets:
    """Read a transport stream once, front to back; memory does not grow with the bytes of its pictures."""
    starts, aligned, breaks = [np.zeros(0, np.int64)], [np.zeros(0, bool)], [np.zeros(0, np.int64)]
    counter = -1  # of the packet before; none yet
    for places, packets, breaks_off in _runs(file):
        if breaks_off:
            breaks.append(places[-1:] + 1)
        chosen = (packets[:, 1] & 31 == pid >> 8) & (packets[:, 2] == pid & 255) & (packets[:, 3] & 0x30 != 0)
        places, rows = places[chosen], packets[chosen]
        if not len(rows):
            continue
        has_payload, announced = rows[:, 3] & 0x10 != 0, (rows[:, 3] & 0x20 != 0) & (rows[:, 4] > 0) & (rows[:, 5] & 0x80 != 0)
        counters = (rows[:, 3] & 15).astype(np.int64)
        jumps = (counters != (np.append(counter, counters[:-1]) + has_payload) & 15) & ~announced
        jumps[0] &= counter >= 0
        counter = int(counters[-1])
        begins = has_payload & (rows[:, 1] & 0x40 != 0)
        starts.append(places[begins])
        aligned.append(_begins_picture(rows[begins], codec))
        breaks += [places[jumps], places[rows[:, 1] & 0x80 != 0] + 1]  # the second: packets that say of themselves that they are damaged
    all_starts = np.concatenate(starts)
    hit = np.searchsorted(all_starts, np.concatenate(breaks)) - 1  # a jump at a PES packet's first packet is a loss in the one before
    return PesPackets(starts=all_starts, torn=np.isin(np.arange(len(all_starts)), hit), aligned=np.concatenate(aligned))


def _begins_picture(rows: np.ndarray, codec: str) -> np.ndarray:
    """bool "n": of first packets (uint8 "n 188") of PES packets, whether what they carry begins with a new picture."""
    mask, values = _FIRST_UNITS.get(codec, (0, ()))
    number = np.arange(len(rows))
    header = 4 + np.where(rows[:, 3] & 0x20, 1 + rows[:, 4].astype(np.int64), 0)
    at = header + 9 + rows[number, np.minimum(header + 8, _LENGTH - 1)]
    inside = at + 5 <= _LENGTH
    head = rows[number[:, None], np.where(inside, at, 0)[:, None] + np.arange(5)]
    short, long = (head[:, :3] == (0, 0, 1)).all(axis=1), (head[:, :4] == (0, 0, 0, 1)).all(axis=1)
    return np.asarray(inside & (short | long) & np.isin(np.where(long, head[:, 4], head[:, 3]) & mask, values))


def _runs(file: IO[bytes]) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Packets in a row: (position int64 "n", bytes uint8 "n 188", whether they end with something that is no packet)."""
    distances: tuple[int, ...] = _DISTANCES
    data, at, in_step, ended = b"", 0, False, False
    while not ended:
        ended = not (chunk := file.read(_CHUNK))
        data += chunk or bytes(distances[-1] - _LENGTH)  # nothing need follow the last packet
        while True:
            found = (0, distances[0]) if in_step else _framing(data, distances)
            if found is None:
                first = max(0, len(data) - _RUN * distances[-1])
                data, at = data[first:], at + first
                break
            first, distance = found
            count = (len(data) - first) // distance
            rows = np.frombuffer(data, np.uint8, count * distance, first).reshape(count, distance)
            good = rows[:, 0] == _SYNC
            whole = count if good.all() else int(good.argmin())
            if whole:
                yield at + first + _LENGTH - distance + distance * np.arange(whole), rows[:whole, :_LENGTH], whole < count
            first += whole * distance
            data, at, distances, in_step = data[first:], at + first, (distance,), whole == count
            if in_step:
                break
    if in_step and len(data) > distances[0] - _LENGTH:  # the file ends within a packet
        yield np.array([at]), np.zeros((1, _LENGTH), np.uint8), True


def _framing(data: bytes, distances: tuple[int, ...]) -> tuple[int, int] | None:
    """(where the first packet begins, bytes from one to the next)."""
    syncs, found = np.frombuffer(data, np.uint8) == _SYNC, []
    for distance in distances:
        places = max(0, len(syncs) - (_RUN - 1) * distance)
        run = np.all([syncs[skip : skip + places] for skip in range(0, _RUN * distance, distance)], axis=0)
        if run.any():
            found.append((int(run.argmax()), distance))
    return min(found, default=None)
