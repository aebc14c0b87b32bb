"""Probe of a source video, from its packets alone: only the first frame is decoded, unless the container stores no times."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import DataError
from pipeline.video.groups import DecodingOrder, Span, complete_up_to
from pipeline.video.open import open_video, quarter_turns, upright_size
from pipeline.video.packets import MISSING, RAW_FORMATS, Packets, StoredPackets, decode_packets, read_stored
from pipeline.video.picture import PictureTraits, read_traits, square_size
from pipeline.video.timeline import Origin, Timeline, timeline_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VideoProbe:
    """One video stream. Frame i is the i-th presentation timestamp: every other number about frames refers to this order."""

    codec: str
    pixel_format: str
    width: int  # as shown, rotation applied
    height: int
    quarter_turns: int  # counter-clockwise, from the display matrix
    time_base: Fraction  # seconds per tick
    pts: np.ndarray  # int64 "F", ticks, increasing
    key_pts: np.ndarray  # int64 "K", ticks, increasing: where decoding can begin; the first may lie before the first shown frame
    video_bytes: int  # of all packets
    stream: int = 0  # index in the file
    packet_pts: np.ndarray | None = None  # int64 "P", ticks, of all packets as they are stored; None: stored as shown
    clean_key_pts: np.ndarray | None = None  # int64, ticks, increasing: key frames that clear the decoder; None: all
    damaged: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # "D": frames that rest on damaged packets, increasing
    breaks: tuple[int, ...] = ()  # frames that no clip goes across: a clock began anew, or size or interlacing may change
    repaired: bool = False  # the times are ours: packets carry others
    picture: PictureTraits = field(default_factory=PictureTraits)
    lost: str = ""  # what is missing of the source, in words; empty: nothing
    notes: tuple[str, ...] = ()  # remarks for the records of its clips

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.pts)

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) as shown, with square pixels."""
        if self.quarter_turns % 2:
            return square_size(self.height, self.width, self.picture.aspect)[::-1]
        return square_size(self.width, self.height, self.picture.aspect)

    @property
    def times_s(self) -> np.ndarray:
        """float64 "F": seconds since the first frame, to the microsecond."""
        return np.round((self.pts - self.pts[0]) * float(self.time_base), 6)

    @property
    def frame_s(self) -> float:
        """Median time between two frames; 1/30 s for a single frame."""
        return float(np.median(np.diff(self.times_s))) if self.num_frames > 1 else 1 / 30

    @property
    def order(self) -> DecodingOrder:
        """Positions of the frames in the file. Computed anew at each call."""
        packet_pts = self.pts if self.packet_pts is None else self.packet_pts
        clean = self.key_pts if self.clean_key_pts is None else self.clean_key_pts
        return DecodingOrder.of(pts=self.pts, packet_pts=packet_pts, clean_key_pts=clean)

    @property
    def stamps(self) -> np.ndarray | None:
        """int64 "P": the times to give to packets when the file is read again; None: they carry them."""
        return self.packet_pts if self.repaired else None

    def damage_in(self, span: Span) -> str:
        """Known damage of a span's frames, in words; empty without any."""
        inside = self.damaged[(self.damaged >= span.first) & (self.damaged < span.end)]
        if not len(inside):
            return ""
        return f"{len(inside)} of frames {span.first}..{span.last} rest on damaged or missing data (from frame {inside[0]} on)"

    def key_before(self, index: int) -> int:
        """Presentation timestamp (ticks) of the key frame from which frame `index` decodes."""
        return int(self.key_pts[np.searchsorted(self.key_pts, self.pts[index], side="right") - 1])

    def lead_in(self, index: int) -> int:
        """Number of shown frames between the key frame before frame `index` and that frame."""
        return index - int(np.searchsorted(self.pts, self.key_before(index)))

    def time_after(self, index: int) -> float:
        """End of frame `index`: the next frame's time, or one median frame later for the last."""
        return float(self.times_s[index + 1]) if index + 1 < self.num_frames else float(np.round(self.times_s[index] + self.frame_s, 6))


def probe_video(source: str | bytes, name: str) -> VideoProbe:
    """Read all packets of a video once, front to back.

    Frames that no player shows are left out: those that the container's edit list discards, and pictures before the first
    key frame. Damage does not refuse a source: `damaged` says which frames rest on it, `lost` what is missing at the end.
    Raises: DataError, naming `name` and the remedy: no video, times that cannot be repaired, no frame.
    """
    with open_video(source, name) as (container, stream):
        index, first = stream.index, _first_frame(container, stream, name)
        choice, picture = _choice(container, stream), _traits(container, stream, first, name)
    with open_video(source, name, index=index) as (container, stream):
        stored = read_stored(container, stream, source)
        listed = stream.frames - (_empty_chunks(stored) if container.format.name == "avi" else 0)
        origin = _origin(source, name, container, stream)
        codec, pixel_format = stream.codec_context.name, stream.codec_context.pix_fmt or ""
    if not stored.keys.any():
        raise DataError(f"{name}: no key frame among {len(stored.keys)} packets; it cannot be decoded: drop it")
    timeline, lost = _without_end(timeline_of(stored, origin), stored, listed)
    width, height = upright_size(first)
    pts = np.sort(timeline.pts[timeline.shown])
    if len(pts) == 0:
        raise DataError(f"{name}: no frame to show; it is damaged or empty: drop it")
    return VideoProbe(
        codec=codec,
        pixel_format=pixel_format,
        width=width,
        height=height,
        quarter_turns=quarter_turns(first),
        time_base=timeline.time_base,
        pts=pts,
        key_pts=np.unique(timeline.pts[stored.keys]),
        video_bytes=int(stored.sizes.sum()),
        stream=index,
        packet_pts=timeline.pts,
        clean_key_pts=np.unique(timeline.pts[stored.clean]),
        damaged=np.flatnonzero(np.isin(pts, timeline.pts[timeline.damaged & timeline.shown])),
        breaks=tuple(np.unique(np.searchsorted(pts, timeline.pts[[*timeline.breaks, *stored.changes]])).tolist()),
        repaired=timeline.repaired,
        picture=picture,
        lost=lost,
        notes=(*choice, *timeline.notes),
    )


def _first_frame(container: InputContainer, stream: VideoStream, name: str) -> VideoFrame:
    for _, frames in decode_packets(Packets(container, stream), stream):
        if frames:
            return frames[0]
    raise DataError(f"{name}: no frame decodes; it is damaged or empty: fetch it again or drop it")


def _traits(container: InputContainer, stream: VideoStream, first: VideoFrame, name: str) -> PictureTraits:
    try:
        return read_traits(container, stream, first)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _choice(container: InputContainer, stream: VideoStream) -> tuple[str, ...]:
    videos = [other for other in container.streams.video if not other.disposition & Disposition.attached_pic]
    if len(videos) < 2:
        return ()
    others = ", ".join(f"{other.index} ({other.width}x{other.height})" for other in videos if other.index != stream.index)
    return (f"stream {stream.index} ({stream.width}x{stream.height}) of {len(videos)} video streams taken, not {others}",)


def _origin(source: str | bytes, name: str, container: InputContainer, stream: VideoStream) -> Origin:
    raw = container.format.name in RAW_FORMATS
    rate = _stated_rate(source, name) if raw else stream.guessed_rate
    return Origin(
        source=source,
        name=name,
        index=stream.index,
        time_base=Fraction(stream.time_base),
        rate=Fraction(rate) if rate else None,
        without_times=raw or (container.format.name == "avi" and stream.codec_context.codec.reorder),
    )


def _stated_rate(source: str | bytes, name: str) -> Fraction | None:
    """The rate that a raw stream's own parameters state: not the one that the demuxer supposes unless told otherwise."""
    supposed = Fraction(47)
    with open_video(source, name, options={"framerate": str(supposed)}) as (_, stream):
        rate = stream.codec_context.framerate
    return None if not rate or rate == supposed else Fraction(rate)


def _without_end(timeline: Timeline, stored: StoredPackets, listed: int) -> tuple[Timeline, str]:
    """The complete part of a file that was cut short, and the error of the rest.

    Args:
        listed: how many packets with data the container says it has; 0: it does not say.
    """
    short = listed > len(stored.pts)
    if not short and not stored.fault:
        return timeline, ""
    shown = timeline.shown.copy()
    if stored.damaged[-1]:
        shown[-1] = False  # the packet within which the file ends
    shown = complete_up_to(timeline.pts, shown)
    of = f"{int(shown.sum())} of {listed} frames are there" if short else f"{int(shown.sum())} frames are there, then: {stored.fault}"
    return replace(timeline, shown=shown), f"cut short: {of}; clips up to there are kept, fetch it again for the rest or drop it"


def _empty_chunks(stored: StoredPackets) -> int:
    """Ticks of the decoding clock without a packet: chunks of 0 bytes in AVI, whose clock ticks once per picture."""
    if (stored.dts == MISSING).any() or not len(stored.dts):
        return 0
    return int(stored.dts[-1] - stored.dts[0]) + 1 - len(stored.dts)
