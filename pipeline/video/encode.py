"""Re-encoding clips to a training size, with a short key-frame interval so that a few frames are cheap to read."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import ConfigError, DataError
from pipeline.video.copy import seek_before
from pipeline.video.open import open_video, quarter_turns, to_rgb
from pipeline.video.picture_folder import CODEC as PICTURES
from pipeline.video.picture_folder import picture_frames
from pipeline.video.probe import VideoProbe
from pipeline.video.spans import Span

# Without the first flag x264 gave up to 16 different files in 60 runs on equal input, with one thread too.
REPEATABLE = "cpu-independent=1"


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodePolicy:
    """How clips are re-encoded (x264, yuv420p, one thread: the same bytes every time)."""

    long_side: int = 512  # pixels; never enlarged
    key_frame_every: int = 12
    quality: int = 20  # x264's constant rate factor; lower is better
    preset: str = "veryfast"

    def __post_init__(self) -> None:
        if self.long_side < 16:
            raise ConfigError(f"--long-side is {self.long_side}, expected at least 16 pixels")
        if not (0 <= self.quality <= 51 and self.key_frame_every >= 1):
            raise ConfigError(
                f"quality must lie in 0..51 and the key-frame interval be at least 1, found {self.quality}, {self.key_frame_every}"
            )

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the encoded clip: the long side as asked, both even."""
        scale = min(1.0, self.long_side / max(width, height))
        return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def encode_spans(
    source: str | bytes, name: str, probe: VideoProbe, spans: Sequence[Span], policy: EncodePolicy
) -> Iterator[tuple[int, bytes | DataError]]:
    """Re-encode spans of one source, decoded in one pass: yield (position in `spans`, mp4 bytes or why there are none).

    Frames keep their timestamps, shifted so that a clip begins at 0; rotation is applied to the pixels.
    Raises: DataError, naming `name`, if the source cannot be read at all.
    """
    if probe.codec == PICTURES and len(spans) > 1:
        yield from _each_alone(source, name, probe, spans, policy)
        return
    waiting = sorted(enumerate(spans), key=lambda item: (item[1].first, item[1].count))
    active: list[tuple[int, _Encoder]] = []
    for index, frame in _decode(source, name, probe, waiting[0][1].first):
        while waiting and waiting[0][1].first <= index:
            position, span = waiting.pop(0)
            active.append((position, _Encoder(span, probe, policy)))
        for position, encoder in list(active):
            if index <= encoder.span.last:
                encoder.add(index, frame)
            if index >= encoder.span.last:
                yield position, encoder.finish(name)
                active.remove((position, encoder))
        if not active and not waiting:
            return
    for position, span in [*((position, encoder.span) for position, encoder in active), *waiting]:
        yield position, DataError(f"{name}: frames {span.first}..{span.last} do not decode to the end; fetch it again or drop it")


def _each_alone(
    source: str | bytes, name: str, probe: VideoProbe, spans: Sequence[Span], policy: EncodePolicy
) -> Iterator[tuple[int, bytes | DataError]]:
    """Spans one by one: any picture can be read first, and a bad one costs the clips that hold it alone."""
    for position, span in enumerate(spans):
        try:
            yield from ((position, result) for _, result in encode_spans(source, name, probe, [span], policy))
        except DataError as error:
            yield position, error


def _decode(source: str | bytes, name: str, probe: VideoProbe, first: int) -> Iterator[tuple[int, VideoFrame]]:
    """Frames from index `first` on with their index, in order; packets that do not decode leave a gap."""
    if probe.codec == PICTURES:
        yield from picture_frames(str(source), name, probe, first)
        return
    key_pts = probe.key_before(first)
    with open_video(source, name) as (container, stream):
        seek_before(container, stream, key_pts, probe)
        for frame in _frames(container, stream):
            if frame.pts is None or frame.pts < probe.pts[first] or frame.is_corrupt:
                continue
            index = int(np.searchsorted(probe.pts, frame.pts))
            if index < probe.num_frames and probe.pts[index] == frame.pts:
                yield index, frame


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue  # the clip that misses a frame says so


class _Encoder:
    """One clip being encoded."""

    def __init__(self, span: Span, probe: VideoProbe, policy: EncodePolicy) -> None:
        self.span, self._probe = span, probe
        self._missing: list[int] = []
        self._next = span.first
        self._buffer = io.BytesIO()
        self._container: OutputContainer = av.open(self._buffer, "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=Fraction(1 / probe.frame_s).limit_denominator(1001))
        self._stream.width, self._stream.height = policy.size(probe.width, probe.height)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = probe.time_base
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.gop_size = policy.key_frame_every
        self._stream.options = {"crf": str(policy.quality), "preset": policy.preset, "x264-params": REPEATABLE}

    def add(self, index: int, frame: VideoFrame) -> None:
        """Encode frame `index` of the source."""
        self._missing += range(self._next, index)
        self._next = index + 1
        small = self._upright(frame).reformat(self._stream.width, self._stream.height, "yuv420p", interpolation="AREA")
        small.pts, small.time_base = int(self._probe.pts[index] - self._probe.pts[self.span.first]), self._probe.time_base
        small.pict_type = 0
        self._container.mux(self._stream.encode(small))

    def finish(self, name: str) -> bytes | DataError:
        """The clip as mp4, or an error that says which frames are missing."""
        self._missing += range(self._next, self.span.end)
        if self._missing:
            self._container.close()
            shown = ", ".join(map(str, self._missing[:5])) + (", ..." if len(self._missing) > 5 else "")
            return DataError(
                f"{name}: {len(self._missing)} frames do not decode ({shown}); fetch it again or drop the span from the manifest"
            )
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()

    @staticmethod
    def _upright(frame: VideoFrame) -> VideoFrame:
        return VideoFrame.from_ndarray(to_rgb(frame), format="rgb24") if quarter_turns(frame) else frame
