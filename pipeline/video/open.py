"""Opening a video, and turning its frames into upright RGB."""

import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline import storage
from pipeline.errors import DataError
from pipeline.video.colour import HLG, PQ, colour_of
from pipeline.video.orientation import orientation_of
from pipeline.video.tone_map import tone_mapped


@contextmanager
def open_video(source: str | bytes, name: str, *, threads: int = 1) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video by uri or from its bytes, and its first video stream; `name` stands in errors.

    Args:
        threads: decoder threads; 0 lets the decoder choose. Frames do not depend on it.
    Raises: DataError if it cannot be read as video, in opening or while the block reads from it; StorageError if there is no such file.
    """
    with ExitStack() as stack:
        try:
            container = stack.enter_context(av.open(_file_of(source, stack)))
            if not container.streams.video:
                kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no streams"
                raise DataError(f"{name}: no video stream (found {kinds}); drop it from the input")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = threads
            yield container, stream
        except av.error.FFmpegError as error:
            raise DataError(
                f"{name}: not readable as video ({error.strerror}); it is damaged or cut short: fetch it again or drop it"
            ) from error


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
    """How many times the stored picture is turned by 90 degrees counter-clockwise to stand upright (display matrix)."""
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
        return tone_mapped(codes.to_ndarray(), colour)
    return cast(np.ndarray, _conversions.latest.reformat(frame, format="rgb24", threads=1, **scaling).to_ndarray())


class _Conversions(threading.local):
    """Each thread's latest conversion: a frame like the one before needs no new one, which takes longer than converting a small frame.

    Conversions have no threads of their own: a forked process would wait for them for ever.
    """

    def __init__(self) -> None:
        self.latest = VideoReformatter()


_conversions = _Conversions()
