"""Re-encoding clips, and encoding frames in memory, with a short key-frame interval so that a few frames are cheap to read."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from pipeline.errors import ConfigError, DataError
from pipeline.records.arrays import check_array
from pipeline.video.colour import BT601, LIMITED, encoded_colour, is_rgb
from pipeline.video.groups import Span
from pipeline.video.open import stored_rgb
from pipeline.video.picture_folder import CODEC as PICTURES
from pipeline.video.probe import VideoProbe
from pipeline.video.shown_frames import FrameSource, ShownFrame, deinterlace

# Without the first flag x264 gave up to 16 different files in 60 runs on equal input, with one thread too.
REPEATABLE = "cpu-independent=1"
# No edit list, and (without B-frames) no time before 0: every reader counts and times the frames alike.
PLAIN = {"use_editlist": "0"}
_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodePolicy:
    """Options of re-encoding clips (x264, yuv420p, one thread: the same bytes every time)."""

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

    Frames keep their timestamps, shifted so that a clip begins at 0. The pixels are what a player shows: turned and mirrored by
    the display matrix, square, deinterlaced, HDR tone-mapped. Colour tags are the source's own (see `encoded_colour`).
    Raises: DataError, naming `name`, if the source cannot be read at all, or is of a pixel format that cannot be converted.
    """
    if probe.codec == PICTURES and len(spans) > 1:
        yield from _each_alone(source, name, probe, spans, policy)
        return
    try:
        yield from _encode(source, name, probe, spans, policy)
    except av.error.FFmpegError as error:
        raise DataError(
            f"{name}: its {probe.pixel_format} pictures cannot be converted and encoded ({error.strerror}); "
            "convert it first: ffmpeg -i IN -pix_fmt yuv420p OUT.mp4"
        ) from error


def _encode(
    source: str | bytes, name: str, probe: VideoProbe, spans: Sequence[Span], policy: EncodePolicy
) -> Iterator[tuple[int, bytes | DataError]]:
    waiting = sorted(enumerate(spans), key=lambda item: (item[1].first, item[1].count))
    active: list[tuple[int, _Encoder]] = []
    first, interlaced = waiting[0][1].first, probe.picture.interlaced
    decoded, order = FrameSource(source, name, probe), probe.order
    frames = decoded.frames(max(0, first - 1) if interlaced else first)  # a field's neighbours count
    for shown in deinterlace(frames, from_start=interlaced):
        while waiting and waiting[0][1].first <= shown.index:
            position, span = waiting.pop(0)
            active.append((position, _Encoder(span, probe, policy, order.settled_after(span))))
        for position, encoder in list(active):
            if shown.index <= encoder.span.last:
                encoder.add(shown)
            if shown.index >= encoder.settled:
                yield position, encoder.finish(name, decoded)
                active.remove((position, encoder))
        if not active and not waiting:
            return
    for position, encoder in active:
        yield position, encoder.finish(name, decoded)
    for position, span in waiting:
        yield position, DataError(f"{name}: frames {span.first}..{span.last} do not decode; fetch it again or drop it")


def _each_alone(
    source: str | bytes, name: str, probe: VideoProbe, spans: Sequence[Span], policy: EncodePolicy
) -> Iterator[tuple[int, bytes | DataError]]:
    """Spans one by one: any picture can be read first, and a bad one costs the clips that hold it alone."""
    for position, span in enumerate(spans):
        try:
            yield from ((position, result) for _, result in encode_spans(source, name, probe, [span], policy))
        except DataError as error:
            yield position, error


class _Encoder:
    """One clip being encoded. Its first frame decides size and colours."""

    def __init__(self, span: Span, probe: VideoProbe, policy: EncodePolicy, settled: int) -> None:
        self.span, self.settled, self._probe, self._policy = span, settled, probe, policy
        self._missing: list[int] = []
        self._next = span.first
        self._first: ShownFrame | None = None
        self._unlike: ShownFrame | None = None  # a frame of another shape than the first
        self._buffer = io.BytesIO()
        self._container: OutputContainer = av.open(self._buffer, "w", format="mp4", options=PLAIN)
        self._stream = self._container.add_stream("libx264", rate=Fraction(1 / probe.frame_s).limit_denominator(1001))
        self._conversion = VideoReformatter()

    def add(self, shown: ShownFrame) -> None:
        """Encode a frame of the source."""
        self._missing += range(self._next, shown.index)
        self._next = shown.index + 1
        if self._first is None:
            self._first, self._colour = shown, encoded_colour(shown.colour, from_rgb=is_rgb(shown.frame))
            self._begin(shown)
        if self._unlike is None and shown.shape != self._first.shape:
            self._unlike = shown
        if self._unlike is not None:
            return
        picture = self._converted(shown)
        picture.pts, picture.time_base = int(self._probe.pts[shown.index] - self._probe.pts[self.span.first]), self._probe.time_base
        picture.pict_type = 0
        self._container.mux(self._stream.encode(picture))

    def finish(self, name: str, decoded: FrameSource) -> bytes | DataError:
        """The clip as mp4, or an error: frames that are missing or rest on what does not decode, or where the picture's size changes."""
        missing = self._missing_frames(decoded.faults)
        if not missing and self._unlike is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
        if self._first is not None and self._unlike is not None:
            at = self._unlike.index
            return DataError(
                f"{name}: the picture changes from {self._first.shape} to {self._unlike.shape} at frame {at}, within a clip; "
                f"list the frames before and from {at} as two rows of a manifest (start_frame, end_frame)"
            )
        if missing:
            shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
            return DataError(
                f"{name}: {len(missing)} frames do not decode, or rest on some that do not ({shown}); "
                f"fetch it again or drop the span from the manifest{decoded.disorder}"
            )
        return self._buffer.getvalue()

    def _missing_frames(self, faults: np.ndarray) -> list[int]:
        left = range(self._next, self.span.end)
        touched = faults[(faults >= self.span.first) & (faults < self.span.end)].tolist()
        return sorted({*self._missing, *left, *touched})

    def _begin(self, first: ShownFrame) -> None:
        self._stream.width, self._stream.height = self._policy.size(*first.shape.shown_size)
        self._stream.pix_fmt = "yuv420p"
        codec = self._stream.codec_context
        codec.time_base, codec.thread_count, codec.gop_size = self._probe.time_base, 1, self._policy.key_frame_every
        codec.colorspace, codec.color_range = self._colour.matrix, self._colour.range
        codec.color_primaries, codec.color_trc = self._colour.primaries, self._colour.transfer
        self._stream.options = {"crf": str(self._policy.quality), "preset": self._policy.preset, "bf": "0", "x264-params": REPEATABLE}

    def _converted(self, shown: ShownFrame) -> VideoFrame:
        """The picture as it is encoded. The plain way stays in YUV; turned, mirrored and HDR pictures pass through small RGB."""
        size, orientation, colour = (self._stream.width, self._stream.height), shown.shape.orientation, self._colour
        frame = shown.frame
        if shown.colour.hdr or not orientation.upright:
            frame = VideoFrame.from_ndarray(orientation.apply(stored_rgb(frame, orientation.size(*size))), format="rgb24")
        return self._conversion.reformat(
            frame,
            *size,
            "yuv420p",
            dst_colorspace=colour.swscale_matrix,
            dst_color_range=colour.range,
            interpolation="AREA",
            threads=1,
        )


def encode_frames(frames: np.ndarray, frame_times: np.ndarray, policy: EncodePolicy) -> bytes:
    """Frames as H.264 in an mp4 (yuv420p, one thread: equal frames are equal bytes). Nothing is resized.

    Args:
        frames: uint8 "T H W 3", RGB, both sides even.
        frame_times: "T", seconds, increasing.
        policy: quality, preset and key-frame interval; its long side is not looked at.
    Raises: DataError if a side is odd or times do not increase.
    """
    check_array("frames", frames, "uint8", (None, None, None, 3))
    height, width = frames.shape[1:3]
    ticks = np.round((np.asarray(frame_times) - frame_times[0]) / float(_TIME_BASE)).astype(np.int64)
    if height % 2 or width % 2 or (np.diff(ticks) <= 0).any():
        raise DataError(f"{len(frames)} frames of {width}x{height}: sides must be even and times increase to be encoded")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        rate = Fraction(1 / float(np.median(np.diff(frame_times)))).limit_denominator(1001) if len(frames) > 1 else Fraction(1)
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.thread_count = _TIME_BASE, 1
        stream.codec_context.gop_size = policy.key_frame_every
        stream.codec_context.colorspace, stream.codec_context.color_range = BT601, LIMITED  # what the conversion below gives
        stream.options = {"crf": str(policy.quality), "preset": policy.preset, "x264-params": REPEATABLE}
        for picture, tick in zip(frames, ticks.tolist(), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = tick, _TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
