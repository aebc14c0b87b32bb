"""What a source video holds, from its packets alone: no frame is decoded but the first."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import DataError
from pipeline.video.open import open_video, quarter_turns, upright_size
from pipeline.video.picture import PictureTraits, read_traits, square_size


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
    picture: PictureTraits = field(default_factory=PictureTraits)
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

    def key_before(self, index: int) -> int:
        """Presentation timestamp (ticks) of the key frame from which frame `index` decodes."""
        return int(self.key_pts[np.searchsorted(self.key_pts, self.pts[index], side="right") - 1])

    def lead_in(self, index: int) -> int:
        """How many shown frames lie between the key frame before frame `index` and that frame."""
        return index - int(np.searchsorted(self.pts, self.key_before(index)))

    def time_after(self, index: int) -> float:
        """When frame `index` ends: the next frame's time, or one median frame later for the last."""
        return float(self.times_s[index + 1]) if index + 1 < self.num_frames else float(np.round(self.times_s[index] + self.frame_s, 6))


def probe_video(source: str | bytes, name: str) -> VideoProbe:
    """Read all packets of a video once, front to back.

    Frames that no player shows are left out: those that the container's edit list discards, and pictures before the first
    key frame.
    Raises: DataError, naming `name` and the remedy: no video, no timestamps, cut short, fewer than one frame.
    """
    with open_video(source, name) as (container, stream):
        first = next(container.decode(stream), None)
        if first is None:
            raise DataError(f"{name}: no frame decodes; it is damaged or empty: fetch it again or drop it")
        picture = _traits(container, stream, first, name)
    width, height = upright_size(first)
    with open_video(source, name) as (container, stream):
        packets = _read_packets(container, stream, name)
        return VideoProbe(
            codec=stream.codec_context.name,
            pixel_format=stream.codec_context.pix_fmt or "",
            width=width,
            height=height,
            quarter_turns=quarter_turns(first),
            time_base=Fraction(stream.time_base),
            pts=packets.pts,
            key_pts=packets.key_pts,
            video_bytes=packets.num_bytes,
            picture=picture,
        )


def _traits(container: InputContainer, stream: VideoStream, first: VideoFrame, name: str) -> PictureTraits:
    try:
        return read_traits(container, stream, first)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class _Packets:
    pts: np.ndarray
    key_pts: np.ndarray
    num_bytes: int


def _read_packets(container: InputContainer, stream: VideoStream, name: str) -> _Packets:
    shown, key_pts, num_packets, num_bytes = [], [], 0, 0
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.is_corrupt:
            raise DataError(f"{name}: cut short or damaged after {num_packets} frames; fetch it again or drop it")
        if packet.pts is None:
            raise DataError(f"{name}: frames carry no timestamps; wrap it first: ffmpeg -fflags +genpts -r RATE -i IN -c copy OUT.mp4")
        num_packets += 1
        num_bytes += packet.size
        if packet.is_keyframe:
            key_pts.append(packet.pts)
        if key_pts and not packet.is_discard:
            shown.append(packet.pts)
    if stream.frames and num_packets < stream.frames:
        raise DataError(f"{name}: cut short: {num_packets} of {stream.frames} frames are there; fetch it again or drop it")
    if not key_pts:
        raise DataError(f"{name}: no key frame among {num_packets} packets; it cannot be decoded: drop it")
    pts = np.sort(np.array([value for value in shown if value >= key_pts[0]], np.int64))
    if len(pts) == 0:
        raise DataError(f"{name}: no frame to show; it is damaged or empty: drop it")
    if (np.diff(pts) == 0).any():
        raise DataError(f"{name}: two frames share one timestamp; wrap it anew: ffmpeg -fflags +genpts -r RATE -i IN -c copy OUT.mp4")
    return _Packets(pts, np.unique(np.array(key_pts, np.int64)), num_bytes)
