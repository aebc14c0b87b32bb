"""A table of a stream's packets as they are stored, before anything is made of it."""

import io
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline import storage
from pipeline.video.nal import FrameNumbers, begins_anew, parameter_sets
from pipeline.video.packets import Packets
from pipeline.video.transport_stream import read_pes_packets

MISSING = np.iinfo(np.int64).min  # a time that the file does not state


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoredPackets:
    """P packets in stored order."""

    pts: np.ndarray  # int64 "P", ticks; MISSING where unknown
    dts: np.ndarray  # int64 "P"
    sizes: np.ndarray  # int64 "P", bytes
    keys: np.ndarray  # bool "P"
    clean: np.ndarray  # bool "P": key frames that clear the decoder
    shown: np.ndarray  # bool "P": not discarded by an edit list
    damaged: np.ndarray  # bool "P": damaged as far as the container knows, or a picture is missing before it
    changes: tuple[int, ...]  # key packets with other parameters (size, interlacing, ...) than those before
    fault: str  # what ended the packets before the end of the file; empty: nothing
    unpacked: bool  # packed B-frames were taken apart


def read_stored(container: InputContainer, stream: VideoStream, source: str | bytes) -> StoredPackets:
    """Read all packets of an open source once, front to back."""
    codec, extradata = stream.codec_context.name, stream.codec_context.extradata
    sequence = None  # mp4 has a list of its packets: none gets lost
    if codec == "h264" and "mp4" not in container.format.name:
        sequence = FrameNumbers(extradata)
    rows: list[tuple[int, int, int, int, bool, bool, bool, bool, bool]] = []
    changes: list[int] = []
    parameters: tuple[bytes, ...] = ()
    packets = Packets(container, stream)
    for packet in packets:
        data = bytes(packet) if sequence or packet.is_keyframe else b""
        if packet.is_keyframe and (found := parameter_sets(codec, data, extradata)):
            changes += [len(rows)] if parameters not in ((), found) else []
            parameters = found
        rows.append(
            (
                MISSING if packet.pts is None else packet.pts,
                MISSING if packet.dts is None else packet.dts,
                packet.size,
                -1 if packet.pos is None else packet.pos,
                packet.is_keyframe,
                packet.is_keyframe and begins_anew(codec, data, extradata),
                not packet.is_discard,
                packet.is_corrupt,
                sequence is not None and sequence.missing_before(data, packet.is_keyframe),
            )
        )
    numbers = np.array([row[:4] for row in rows], np.int64).reshape(-1, 4)
    flags = np.array([row[4:8] for row in rows], bool).reshape(-1, 4)
    names = ("keys", "clean", "shown", "damaged")
    stored = StoredPackets(
        pts=numbers[:, 0],
        dts=numbers[:, 1],
        sizes=numbers[:, 2],
        **{name: flags[:, column] for column, name in enumerate(names)},
        changes=tuple(changes),
        fault=packets.fault,
        unpacked=packets.unpacked,
    )
    if container.format.name == "mpegts":
        with nullcontext(io.BytesIO(source)) if isinstance(source, bytes) else storage.open_input(source) as file:
            damaged = read_pes_packets(file, stream.id, codec).damaged(numbers[:, 3])
        stored = stored if damaged is None else _with_losses(stored, damaged)
    missing = np.array([row[8] for row in rows], bool)
    return replace(stored, damaged=stored.damaged | missing)


def _with_losses(stored: StoredPackets, damaged: np.ndarray) -> StoredPackets:
    """The packets of a transport stream of which it is known (bool "P") where data were lost.

    What libav marked for the same loss is unmarked: the picture before. What it marked for other reasons stays. A packet without a time
    is what is left of a picture whose beginning was lost: not shown, no key frame, and at the time of the one before.
    """
    rest = damaged & (stored.pts == MISSING)
    places = np.maximum.accumulate(np.where(rest, 0, np.arange(len(rest))))
    return replace(
        stored,
        pts=stored.pts[places],
        dts=stored.dts[places],
        keys=stored.keys & ~rest,
        clean=stored.clean & ~rest,
        shown=stored.shown & ~rest,
        damaged=damaged | stored.damaged & ~np.append(damaged[1:], False),
    )
