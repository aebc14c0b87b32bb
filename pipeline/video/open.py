"""Opening a video, and turning its frames into upright RGB."""

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline import storage
from pipeline.errors import DataError
from pipeline.video.colour import HLG, PQ, colour_of
from pipeline.video.orientation import orientation_of
from pipeline.video.tone_map import tone_map


@contextmanager
def open_video(
    source: str | bytes, name: str, *, threads: int = 1, index: int | None = None, options: Mapping[str, str] | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video by uri or from its bytes, and one of its video streams; `name` stands in errors.

    Args:
        threads: decoder threads; 0 lets the decoder choose. Frames do not depend on it.
        index: of the stream in the file; None: the one that `choose_stream` names.
        options: of libav's demuxer.
    Raises: DataError if it cannot be read as video, in opening or while the block reads from it; StorageError if there is no such file.
    """
    with ExitStack() as stack:
        try:
            file = _file_of(source, stack)
            container = stack.enter_context(av.open(file, metadata_errors="replace", options=dict(options or {})))
            stream = choose_stream(container, name) if index is None else _stream_at(container, name, index)
            stream.codec_context.thread_count = threads
            yield container, stream
        except av.error.FFmpegError as error:
            raise DataError(
                f"{name}: not readable as video ({error.strerror}); it is damaged or cut short: fetch it again or drop it"
            ) from error


def choose_stream(container: InputContainer, name: str) -> VideoStream:
    """The video stream that a player shows: the default one, then the largest picture, then the first; never cover art.

    Raises: DataError if there is none, or none whose codec is known.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({"cover art" if stream.type == "video" else stream.type for stream in container.streams}))
        raise DataError(f"{name}: no video stream (found {kinds or 'no streams'}); drop it from the input")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise DataError(f"{name}: its codec is unknown to libav; convert it to H.264 with the program that made it, or drop it")
    return max(known, key=lambda stream: (bool(stream.disposition & Disposition.default), stream.width * stream.height, -stream.index))


def _stream_at(container: InputContainer, name: str, index: int) -> VideoStream:
    stream = container.streams[index] if index < len(container.streams) else None
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise DataError(f"{name}: stream {index} is no longer a readable video; it changed since it was probed")
    return stream


def _file_of(source: str | bytes, stack: ExitStack) -> object:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if storage.is_local(source):
        path = storage.absolute(source)
        if storage.size(path) == 0:
            raise DataError(f"{source}: the file is empty (0 bytes); fetch it again or drop it")
        return path
    return stack.enter_context(storage.open_input(source))


def quarter_turns(frame: VideoFrame) -> int:
    """Number of counter-clockwise turns by 90 degrees that bring the stored picture upright (display matrix)."""
    return round(frame.rotation / 90) % 4


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """(width, height) of the frame as shown."""
    return orientation_of(frame).size(frame.width, frame.height)


def to_rgb(frame: VideoFrame, size: tuple[int, int] | None = None) -> np.ndarray:
    """The frame as shown: uint8 "H W 3", RGB, converted by its colour tags, turned and mirrored by its display matrix.

    HDR frames (PQ, HLG) are tone-mapped as re-encoding does it: see pipeline/video/tone_map.py.

    Args:
        size: (H, W) to resize to, by swscale's area filter, while converting: a pixel at x goes to (x + 0.5) s - 0.5.
    """
    orientation = orientation_of(frame)
    return orientation.apply(stored_rgb(frame, None if size is None else orientation.size(*size[::-1])))


def stored_rgb(frame: VideoFrame, size: tuple[int, int] | None = None) -> np.ndarray:
    """The frame as stored, neither turned nor mirrored: uint8 "H W 3", RGB.

    Args:
        size: (width, height) to resize to.
    """
    width, height = size or (frame.width, frame.height)
    scaling = {} if size is None else {"width": width, "height": height, "interpolation": "AREA"}
    if int(frame.color_trc) in (PQ, HLG):
        colour = colour_of(frame)
        codes = _conversions.latest.reformat(frame, format="rgb48le", src_colorspace=colour.swscale_matrix, threads=1, **scaling)
        return tone_map(codes.to_ndarray(), colour)
    return cast(np.ndarray, _conversions.latest.reformat(frame, format="rgb24", threads=1, **scaling).to_ndarray())


class _Conversions(threading.local):
    """Each thread's latest conversion: a frame like the one before needs no new one, which takes longer than converting a small frame.

    Conversions have no threads of their own: a forked process would wait for them for ever.
    """

    def __init__(self) -> None:
        self.latest = VideoReformatter()


_conversions = _Conversions()
