"""The packets of one video stream in stored order, whatever state the file is in."""

from collections.abc import Iterator

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

RAW_FORMATS = ("h264", "hevc", "m4v", "mpegvideo", "obu")  # elementary streams: no container, and no times


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
        packets = (packet for packet in demuxed(self._container, self._stream) if packet.size)
        if self._stream.codec_context.name != "mpeg4" or self._container.format.name != "avi":
            yield from packets
            return
        unpack = BitStreamFilterContext("mpeg4_unpack_bframes", self._stream)
        for packet in packets:
            size = packet.size
            for part in unpack.filter(packet):
                self.unpacked |= part.size != size
                yield part


def demuxed(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """What `container.demux(stream)` gives, also where a file begins further streams in mid-file: PyAV does not know of those, and
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
