"""The frames of a source in order, deinterlaced where needed, each with its index, shape and colours."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.video.colour import Colour, colour_of
from pipeline.video.copy import seek_before
from pipeline.video.groups import touched
from pipeline.video.open import open_video
from pipeline.video.orientation import Orientation, orientation_of
from pipeline.video.packets import Packets, decode_packets
from pipeline.video.picture import SQUARE, PictureTraits, square_if_nearly, square_size
from pipeline.video.picture_folder import CODEC as PICTURES
from pipeline.video.picture_folder import picture_frames
from pipeline.video.probe import VideoProbe
from pipeline.video.timeline import remake


@dataclass(frozen=True, slots=True)
class PictureShape:
    """The stored size, and how it is shown."""

    width: int
    height: int
    orientation: Orientation
    aspect: Fraction

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) as a player shows the picture: square pixels, upright."""
        return self.orientation.size(*square_size(self.width, self.height, self.aspect))

    def __str__(self) -> str:
        return "{}x{}".format(*self.shown_size)


@dataclass(frozen=True, slots=True, eq=False)
class ShownFrame:
    """A decoded frame of a source."""

    index: int
    frame: VideoFrame
    shape: PictureShape
    colour: Colour


class FrameSource:
    """One pass over a source's frames, and its errors."""

    def __init__(self, source: str | bytes, name: str, probe: VideoProbe) -> None:
        self._source, self._name, self._probe = source, name, probe
        self._packet_pts = probe.pts if probe.packet_pts is None else probe.packet_pts
        self.faults = np.zeros(0, np.int64)  # frames that rest on what does not decode, as far as is known by now
        self.disorder = ""  # what is to be said where frames came in another order than their times say

    def frames(self, first: int) -> Iterator[ShownFrame]:
        """Frames from index `first` on, in order; what does not decode leaves a gap.

        Frames that leave the decoder in another order than their times say count as damaged, and `disorder` says so.
        Raises: DataError, naming the source, if it cannot be read at all.
        """
        if self._probe.codec == PICTURES:
            for index, frame in picture_frames(str(self._source), self._name, self._probe, first):
                yield ShownFrame(index, frame, PictureShape(frame.width, frame.height, orientation_of(frame), SQUARE), colour_of(frame))
            return
        probe, last = self._probe, -1
        with open_video(self._source, self._name, index=probe.stream) as (container, stream):
            if probe.stamps is None:
                seek_before(container, stream, probe.key_before(first), probe)
            for bad, frames in decode_packets(Packets(container, stream, probe.stamps), stream):
                if bad is not None:
                    self._spoil(bad)
                for frame in frames:
                    if frame.pts is None or frame.pts < probe.pts[first]:
                        self._check(frame)
                        continue
                    index = int(np.searchsorted(probe.pts, frame.pts))
                    if index == probe.num_frames or probe.pts[index] != frame.pts:
                        continue
                    if index <= last:
                        self.disorder = (
                            f"; or its times are wrong (frame {index} comes after {last}): {remake(self._name, None, index=probe.stream)}"
                        )
                        self._spoil(frame.pts)
                        self._spoil(int(probe.pts[last]))
                        continue
                    last = index
                    self._check(frame)
                    yield ShownFrame(index, frame, _shape(frame, stream, probe.picture), colour_of(frame))

    def _check(self, frame: VideoFrame) -> None:
        if frame.is_corrupt and frame.pts is not None:
            self._spoil(frame.pts)

    def _spoil(self, pts: int) -> None:
        """Note a packet that does not decode, and the frames that may rest on it."""
        places = np.flatnonzero(self._packet_pts == pts)
        if not len(places) or np.isin(np.searchsorted(self._probe.pts, pts), self.faults):
            return
        damaged = np.zeros(len(self._packet_pts), bool)
        damaged[places] = True
        keys = np.isin(self._packet_pts, self._probe.key_pts)
        ruined = self._packet_pts[touched(self._packet_pts, keys, damaged)]
        self.faults = np.union1d(self.faults, np.flatnonzero(np.isin(self._probe.pts, ruined)))


def _shape(frame: VideoFrame, stream: VideoStream, traits: PictureTraits) -> PictureShape:
    """Broadcasts change the aspect in mid-stream. Where the container has a word of its own, players obey that throughout."""
    coded = square_if_nearly(stream.codec_context.sample_aspect_ratio, frame.width)
    by_codec = traits.aspect == traits.coded_aspect
    return PictureShape(frame.width, frame.height, orientation_of(frame), coded if by_codec else traits.aspect)


def deinterlace(frames: Iterator[ShownFrame], *, from_start: bool) -> Iterator[ShownFrame]:
    """The same frames, of which those flagged as interlaced are replaced by the picture at their first field's time.

    A frame's result depends on it and its two neighbours. Other frames pass as they are.

    Args:
        from_start: the source is known to hold interlaced frames; else the filter begins with the first of them.
    """
    graph: _Deinterlacer | None = None
    for shown in frames:
        if graph is None and not (from_start or shown.frame.interlaced_frame):
            yield shown
            continue
        if graph is not None and not graph.takes(shown):
            yield from graph.finish()
            graph = None
        graph = graph or _Deinterlacer(shown)
        yield from graph.push(shown)
    if graph is not None:
        yield from graph.finish()


class _Deinterlacer:
    """One filter graph, for frames of one size and pixel format."""

    def __init__(self, first: ShownFrame) -> None:
        self._kind = _kind(first)
        self._waiting: list[ShownFrame] = []
        graph = Graph()
        frame = first.frame
        self._source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
        bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        self._sink = graph.add("buffersink")
        self._source.link_to(bwdif)
        bwdif.link_to(self._sink)
        graph.configure()
        self._graph = graph  # its contexts live as long as it does

    def takes(self, shown: ShownFrame) -> bool:
        """Whether the frame is of this graph's kind."""
        return _kind(shown) == self._kind

    def push(self, shown: ShownFrame) -> Iterator[ShownFrame]:
        """Give a frame, take those that are complete: the filter is one frame behind."""
        self._waiting.append(shown)
        self._source.push(shown.frame)
        yield from self._ready()

    def finish(self) -> Iterator[ShownFrame]:
        """The frames still inside."""
        self._source.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[ShownFrame]:
        while self._waiting:
            try:
                frame = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield replace(self._waiting.pop(0), frame=frame)


def _kind(shown: ShownFrame) -> tuple[object, ...]:
    return shown.shape, shown.colour, shown.frame.format.name
