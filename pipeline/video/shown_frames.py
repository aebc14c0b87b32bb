"""The frames of a source in order, each with what is needed to show it: its index, its shape, its colours."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.video.colour import Colour, colour_of
from pipeline.video.copy import seek_before
from pipeline.video.open import open_video
from pipeline.video.orientation import Orientation, orientation_of
from pipeline.video.picture import SQUARE, PictureTraits, square_if_nearly, square_size
from pipeline.video.picture_folder import CODEC as PICTURES
from pipeline.video.picture_folder import picture_frames
from pipeline.video.probe import VideoProbe


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


def shown_frames(source: str | bytes, name: str, probe: VideoProbe, first: int) -> Iterator[ShownFrame]:
    """Frames from index `first` on, in order; packets that do not decode leave a gap.

    Raises: DataError, naming `name`, if the source cannot be read at all.
    """
    if probe.codec == PICTURES:
        for index, frame in picture_frames(str(source), name, probe, first):
            yield ShownFrame(index, frame, Shape(frame.width, frame.height, orientation_of(frame), SQUARE), colour_of(frame))
        return
    key_pts = probe.key_before(first)
    with open_video(source, name) as (container, stream):
        seek_before(container, stream, key_pts, probe)
        for frame in _frames(container, stream):
            if frame.pts is None or frame.pts < probe.pts[first] or frame.is_corrupt:
                continue
            index = int(np.searchsorted(probe.pts, frame.pts))
            if index < probe.num_frames and probe.pts[index] == frame.pts:
                yield ShownFrame(index, frame, _shape(frame, stream, probe.picture), colour_of(frame))


def _shape(frame: VideoFrame, stream: VideoStream, traits: PictureTraits) -> Shape:
    """Broadcasts change the aspect in mid-stream. Where the container has a word of its own, players obey that throughout."""
    coded = square_if_nearly(stream.codec_context.sample_aspect_ratio, frame.width)
    by_codec = traits.aspect == traits.coded_aspect
    return Shape(frame.width, frame.height, orientation_of(frame), coded if by_codec else traits.aspect)


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue  # the clip that misses a frame says so
