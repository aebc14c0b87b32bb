"""The frames of a source in order, each with what is needed to show it: its index, its shape, its colours."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
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
class Shape:
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
    shape: Shape
    colour: Colour


class FrameSource:
    """One pass over a source's frames, and what went wrong in it."""

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
                yield ShownFrame(index, frame, Shape(frame.width, frame.height, orientation_of(frame), SQUARE), colour_of(frame))
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


def _shape(frame: VideoFrame, stream: VideoStream, traits: PictureTraits) -> Shape:
    """Broadcasts change the aspect in mid-stream. Where the container has a word of its own, players obey that throughout."""
    coded = square_if_nearly(stream.codec_context.sample_aspect_ratio, frame.width)
    by_codec = traits.aspect == traits.coded_aspect
    return Shape(frame.width, frame.height, orientation_of(frame), coded if by_codec else traits.aspect)
