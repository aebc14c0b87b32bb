"""A table of a stream's packets as they are stored, before anything is made of it."""

from dataclasses import dataclass

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.video.nal import FrameNumbers, begins_anew
from pipeline.video.packets import Packets

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
    damaged: np.ndarray  # bool "P": said to be damaged by the container, or a picture is missing before it
    fault: str  # what ended the packets before the end of the file; empty: nothing
    unpacked: bool  # packed B-frames were taken apart


def read_stored(container: InputContainer, stream: VideoStream) -> StoredPackets:
    """Read all packets once, front to back."""
    codec, extradata = stream.codec_context.name, stream.codec_context.extradata
    sequence = None  # mp4 has a list of its packets: none gets lost
    if codec == "h264" and "mp4" not in container.format.name:
        sequence = FrameNumbers(extradata)
    rows: list[tuple[int, int, int, bool, bool, bool, bool]] = []
    packets = Packets(container, stream)
    for packet in packets:
        data = bytes(packet) if sequence or packet.is_keyframe else b""
        rows.append(
            (
                MISSING if packet.pts is None else packet.pts,
                MISSING if packet.dts is None else packet.dts,
                packet.size,
                packet.is_keyframe,
                packet.is_keyframe and begins_anew(codec, data, extradata),
                not packet.is_discard,
                packet.is_corrupt or (sequence is not None and sequence.missing_before(data, packet.is_keyframe)),
            )
        )
    numbers = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    flags = np.array([row[3:] for row in rows], bool).reshape(-1, 4)
    names = ("keys", "clean", "shown", "damaged")
    return StoredPackets(
        pts=numbers[:, 0],
        dts=numbers[:, 1],
        sizes=numbers[:, 2],
        **{name: flags[:, column] for column, name in enumerate(names)},
        fault=packets.fault,
        unpacked=packets.unpacked,
    )
