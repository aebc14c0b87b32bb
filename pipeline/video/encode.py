"""Re-encoding clips to a training size, with a short key-frame interval so that a few frames are cheap to read."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame

from pipeline.errors import ConfigError, DataError
from pipeline.video.copy import seek_before
from pipeline.video.groups import touched
from pipeline.video.open import open_video, quarter_turns, to_rgb
from pipeline.video.packets import Packets, decode_packets
from pipeline.video.probe import VideoProbe
from pipeline.video.spans import Span

# Without the first flag x264 gave up to 16 different files in 60 runs on equal input, with one thread too.
REPEATABLE = "cpu-independent=1"
# No edit list, and (without B-frames) no time before 0: every reader counts and times the frames alike.
PLAIN = {"use_editlist": "0"}


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
    waiting = sorted(enumerate(spans), key=lambda item: (item[1].first, item[1].count))
    active: list[tuple[int, _Encoder]] = []
    decoder, order = _Decoder(source, name, probe), probe.order
    for index, frame in decoder.frames(waiting[0][1].first):
        while waiting and waiting[0][1].first <= index:
            position, span = waiting.pop(0)
            active.append((position, _Encoder(span, probe, policy, order.settled_after(span))))
        for position, encoder in list(active):
            if index <= encoder.span.last:
                encoder.add(index, frame)
            if index >= encoder.settled:
                yield position, encoder.finish(name, decoder)
                active.remove((position, encoder))
        if not active and not waiting:
            return
    for position, encoder in active:
        yield position, encoder.finish(name, decoder)
    for position, span in waiting:
        yield position, DataError(f"{name}: frames {span.first}..{span.last} do not decode; fetch it again or drop it")


class _Decoder:
    """One pass over a source's frames, and what went wrong in it."""

    def __init__(self, source: str | bytes, name: str, probe: VideoProbe) -> None:
        self._source, self._name, self._probe = source, name, probe
        self._packet_pts = probe.pts if probe.packet_pts is None else probe.packet_pts
        self.faults = np.zeros(0, np.int64)  # frames that rest on what does not decode, as far as is known by now
        self.disorder = ""  # what is to be said where frames came in another order than their times say

    def frames(self, first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames from index `first` on with their index, in order; what does not decode leaves a gap.

        Frames that leave the decoder in another order than their times say count as damaged, and `disorder` says so.
        """
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
                        self.disorder = f"; or its times are wrong (frame {index} comes after {last}): {_REMAKE}"
                        self._spoil(frame.pts)
                        self._spoil(int(probe.pts[last]))
                        continue
                    last = index
                    self._check(frame)
                    yield index, frame

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


_REMAKE = (
    "ffmpeg -i IN -vf 'setpts=N/(RATE)/TB' -fps_mode passthrough -c:v libx264 -crf 16 OUT.mp4, with its true RATE in pictures per second"
)


class _Encoder:
    """One clip being encoded."""

    def __init__(self, span: Span, probe: VideoProbe, policy: EncodePolicy, settled: int) -> None:
        self.span, self.settled, self._probe = span, settled, probe
        self._missing: list[int] = []
        self._next = span.first
        self._buffer = io.BytesIO()
        self._container: OutputContainer = av.open(self._buffer, "w", format="mp4", options=PLAIN)
        self._stream = self._container.add_stream("libx264", rate=Fraction(1 / probe.frame_s).limit_denominator(1001))
        self._stream.width, self._stream.height = policy.size(probe.width, probe.height)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = probe.time_base
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.gop_size = policy.key_frame_every
        self._stream.options = {"crf": str(policy.quality), "preset": policy.preset, "bf": "0", "x264-params": REPEATABLE}

    def add(self, index: int, frame: VideoFrame) -> None:
        """Encode frame `index` of the source."""
        self._missing += range(self._next, index)
        self._next = index + 1
        small = self._upright(frame).reformat(self._stream.width, self._stream.height, "yuv420p", interpolation="AREA")
        small.pts, small.time_base = int(self._probe.pts[index] - self._probe.pts[self.span.first]), self._probe.time_base
        small.pict_type = 0
        self._container.mux(self._stream.encode(small))

    def finish(self, name: str, decoder: _Decoder) -> bytes | DataError:
        """The clip as mp4, or an error that says which frames are missing, or rest on what does not decode."""
        faults = decoder.faults
        missing = {
            *self._missing,
            *range(self._next, self.span.end),
            *faults[(faults >= self.span.first) & (faults < self.span.end)].tolist(),
        }
        if missing:
            self._container.close()
            shown = ", ".join(map(str, sorted(missing)[:5])) + (", ..." if len(missing) > 5 else "")
            return DataError(
                f"{name}: {len(missing)} frames do not decode, or rest on some that do not ({shown}); "
                f"fetch it again or drop the span from the manifest{decoder.disorder}"
            )
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()

    @staticmethod
    def _upright(frame: VideoFrame) -> VideoFrame:
        return VideoFrame.from_ndarray(to_rgb(frame), format="rgb24") if quarter_turns(frame) else frame
