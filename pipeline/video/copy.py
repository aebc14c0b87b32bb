"""Cutting without re-encoding: packets from the key frame before, and an edit list that shows the clip itself."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.errors import DataError
from pipeline.video.groups import Span
from pipeline.video.mp4_boxes import show_until
from pipeline.video.open import open_video
from pipeline.video.packets import Packets
from pipeline.video.probe import VideoProbe

# codecs whose packets an mp4 file may hold, and players read from there
COPYABLE_CODECS = ("h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg")


def copy_spans(source: str | bytes, name: str, probe: VideoProbe, spans: Sequence[Span]) -> Iterator[tuple[int, bytes | DataError]]:
    """Cut spans of one source in one pass, bit-exact: yield (position in `spans`, mp4 bytes or why there are none) as each is complete.

    Each mp4 begins with the key frame before the span. Those lead-in frames, and frames after the end that others refer to,
    are decoded but not shown: they lie outside the edit list, so that any player shows the span alone.
    Pictures that follow a key frame but are shown before it (open GOP) belong to the group before and are not stored.
    Raises: DataError, naming `name`.
    """
    waiting = [_Cut(position, span, probe) for position, span in sorted(enumerate(spans), key=lambda item: (item[1].first, item[1].count))]
    active: list[_Cut] = []
    with open_video(source, name, index=probe.stream) as (container, stream):
        seek_before(container, stream, waiting[0].key_pts, probe)
        for packet in Packets(container, stream):
            if packet.pts is None:
                continue  # of a damaged place: the clip that misses it says so
            if packet.is_keyframe:
                active += [cut for cut in waiting if cut.key_pts == packet.pts]
                waiting = [cut for cut in waiting if cut.key_pts != packet.pts]
            complete = [cut for cut in active if cut.take(packet)]
            for cut in complete:
                yield cut.position, _muxed(cut, stream, name)
                active.remove(cut)
            if not active and not waiting:
                return
    for cut in [*active, *waiting]:
        yield (
            cut.position,
            DataError(
                f"{name}: {cut.missing} of frames {cut.span.first}..{cut.span.last} are not there: "
                "it is damaged, or changed since it was probed; fetch it again"
            ),
        )


def _muxed(cut: "_Cut", stream: VideoStream, name: str) -> bytes | DataError:
    try:
        return cut.mux(stream)
    except av.error.FFmpegError as error:
        return DataError(
            f"{name}: frames {cut.span.first}..{cut.span.last} cannot be written as mp4 ({error.strerror}); "
            "use --video h264 for it, or fetch it again"
        )


def _fine(timescale: int) -> int:
    """A multiple of the stream's ticks per second, fine enough to end between two frames."""
    return timescale * max(1, -(-20_000 // timescale))


def decoding_times(presentation_times: Sequence[int]) -> list[int]:
    """Decoding timestamps for packets in decoding order: increasing, and none after its packet's presentation.

    The presentation times in order, moved back by the least that serves. (Matroska, for one, does not store them.)
    """
    ordered = sorted(presentation_times)
    delay = max(after - shown for after, shown in zip(ordered, presentation_times, strict=True))
    return [time - delay for time in ordered]


def seek_before(container: InputContainer, stream: VideoStream, key_pts: int, probe: VideoProbe) -> None:
    """Move to a key frame at or before `key_pts`. Aims one key frame earlier, since some containers index decoding times."""
    earlier = probe.key_pts[probe.key_pts < key_pts]
    if len(earlier) >= 2:
        container.seek(int(earlier[-1]), stream=stream, backward=True, any_frame=False)


@dataclass(slots=True)
class _Cut:
    """The packets of one span, gathered in decoding order."""

    position: int
    span: Span
    probe: VideoProbe
    packets: list[Packet] = field(default_factory=list)
    missing: int = field(init=False)
    key_pts: int = field(init=False)  # where decoding begins; with the next two asked for at every packet
    first_pts: int = field(init=False)
    last_pts: int = field(init=False)

    def __post_init__(self) -> None:
        self.missing = self.span.count
        self.key_pts = self.probe.key_before(self.span.first)
        self.first_pts, self.last_pts = int(self.probe.pts[self.span.first]), int(self.probe.pts[self.span.last])

    def take(self, packet: Packet) -> bool:
        """Keep a packet, unless it is shown before the key frame. Returns: whether nothing is missing now."""
        pts = packet.pts
        if pts >= self.key_pts:
            self.missing -= self.first_pts <= pts <= self.last_pts
            self.packets.append(packet)
        return self.missing == 0

    def mux(self, stream: VideoStream) -> bytes:
        """The clip as mp4: its first frame at time 0, the lead-in before it."""
        buffer, time_base = io.BytesIO(), stream.time_base
        times = [packet.pts for packet in self.packets]
        with av.open(buffer, "w", format="mp4", options={"movie_timescale": str(_fine(time_base.denominator))}) as output:
            copy = output.add_stream_from_template(stream, opaque=False)
            for packet, shown, decoded in zip(self.packets, times, decoding_times(times), strict=True):
                moved = Packet(packet)  # its bytes alone: other clips may hold the packet too, and mp4 would store its flags
                moved.pts, moved.dts, moved.duration = shown - self.first_pts, decoded - self.first_pts, packet.duration
                moved.time_base, moved.is_keyframe, moved.stream = time_base, packet.is_keyframe, copy
                output.mux_one(moved)
        show_until(buffer.getbuffer(), self._end_s(frames_follow=max(times) > self.last_pts))
        return buffer.getvalue()

    def _end_s(self, *, frames_follow: bool) -> float:
        """End of the last frame; where others follow, half of its duration: every player shows that frame, none the next."""
        times, after = self.probe.times_s, self.probe.time_after(self.span.last)
        end_s, last_s = after - times[self.span.first], times[self.span.last] - times[self.span.first]
        return float(last_s + end_s) / 2 if frames_follow else float(end_s)
