"""The packets of one video stream in stored order, and as a table, whatever state the file is in."""

import io
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline import storage
from pipeline.video.nal import FrameNumbers, begins_anew, parameter_sets
from pipeline.video.transport_stream import read_pes_packets

RAW_FORMATS = ("h264", "hevc", "m4v", "mpegvideo", "obu")  # elementary streams: no container, and no times
MISSING = np.iinfo(np.int64).min  # a time that the file does not state


class Packets:
    """The packets that hold data, each once. A fault of the file ends them, and `fault` says which.

    Xvid's and DivX's packed packets (two pictures in one, so that AVI can hold B-frames) come unpacked.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, times: np.ndarray | None = None) -> None:
        """times: int64 "P", ticks; presentation times that replace those of the file, by place from its beginning on."""
        self._container, self._stream, self._times = container, stream, times
        self.fault = ""
        self.unpacked = False

    def __iter__(self) -> Iterator[Packet]:
        most = max(10_000, self._container.size)  # a packet holds a byte at least: more of them only come from a damaged index
        try:
            for place, packet in enumerate(self._parts()):
                if place >= most or (self._times is not None and place >= len(self._times)):
                    self.fault = "its index lists more packets than the file has bytes" if place >= most else self.fault
                    return
                if self._times is not None:
                    packet.pts = packet.dts = int(self._times[place])
                yield packet
        except av.error.FFmpegError as error:
            self.fault = error.strerror or type(error).__name__

    def _parts(self) -> Iterator[Packet]:
        packets = (packet for packet in demux(self._container, self._stream) if packet.size)
        if self._stream.codec_context.name != "mpeg4" or self._container.format.name != "avi":
            yield from packets
            return
        unpack = BitStreamFilterContext("mpeg4_unpack_bframes", self._stream)
        for packet in packets:
            size = packet.size
            for part in unpack.filter(packet):
                self.unpacked |= part.size != size
                yield part


def demux(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """Packets of `container.demux(stream)`, also where a file begins further streams in mid-file: PyAV does not know of those, and
    raises IndexError at each of their packets. They are passed over."""
    while True:
        try:
            yield from container.demux(stream)
            return
        except IndexError:
            continue


def decode_packets(packets: Packets, stream: VideoStream) -> Iterator[tuple[int | None, list[VideoFrame]]]:
    """Decode in stored order: yield (presentation ticks of a packet that does not decode, or None; the frames that came).

    What a decoder conceals comes as a frame that is marked (`is_corrupt`), as far as the decoder knows of it. It is not told to refuse
    every deviation (`explode`): odd but harmless messages within the stream, which players pass over, would then cost whole videos.
    """
    for packet in packets:
        pts = packet.pts
        try:
            yield None, stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            yield pts, []
    try:
        yield None, stream.codec_context.decode(None)
    except av.error.FFmpegError:
        yield None, []


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
