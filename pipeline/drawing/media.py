"""Images and animations to files."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.records.arrays import check_array


@dataclass(frozen=True, kw_only=True, slots=True)
class _Format:
    """Settings of one animation format; all play for ever where the format can."""

    container: str
    codec: str
    pixels: str
    codec_options: tuple[tuple[str, str], ...] = ()
    container_options: tuple[tuple[str, str], ...] = ()


_FORMATS = {
    ".mp4": _Format(
        container="mp4",
        codec="libx264",
        pixels="yuv420p",
        # without x264's macroblock tree, whose vector code gives other bytes from run to run
        codec_options=(("crf", "18"), ("preset", "medium"), ("x264-params", "mbtree=0")),
        container_options=(("movflags", "+faststart"),),
    ),
    ".gif": _Format(container="gif", codec="gif", pixels="pal8", container_options=(("loop", "0"),)),
    ".webp": _Format(
        container="webp", codec="libwebp_anim", pixels="yuv420p", codec_options=(("quality", "85"),), container_options=(("loop", "0"),)
    ),
    ".apng": _Format(
        container="apng", codec="apng", pixels="rgb24", codec_options=(("pred", "mixed"),), container_options=(("plays", "0"),)
    ),
}
ANIMATION_SUFFIXES = tuple(_FORMATS)
IMAGE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")
MAX_LOSSY_BYTES = 1_000_000
_QUALITIES = (90, 80, 70, 60, 50, 40)  # of WebP and JPEG: the first that keeps a picture below MAX_LOSSY_BYTES
_QUALITY_FLAGS = {".webp": cv2.IMWRITE_WEBP_QUALITY, ".jpg": cv2.IMWRITE_JPEG_QUALITY, ".jpeg": cv2.IMWRITE_JPEG_QUALITY}
_MAX_SIDES = {".webp": 16_383, ".jpg": 65_500, ".jpeg": 65_500}  # what the formats and their encoders can hold


def write_image(uri: str, image: np.ndarray) -> None:
    """Publish an RGB image, uint8 "H W 3"; the suffix chooses. Equal images give equal bytes.

    PNG keeps every pixel. WebP and JPEG take the best quality of 90, 80, ..., 40 that stays below 1 MB, and 40 where none does.
    Raises: ConfigError for another suffix, or an image with a longer side than the format can hold.
    """
    check_array("image", image, "uint8", (None, None, 3))
    suffix = _suffix(uri)
    if suffix not in IMAGE_SUFFIXES:
        raise ConfigError(f"{uri}: an image is written as one of {', '.join(IMAGE_SUFFIXES)}; give it such a suffix")
    longest = _MAX_SIDES.get(suffix)
    if longest is not None and max(image.shape[:2]) > longest:
        raise ConfigError(
            f"{uri}: an image of {image.shape[1]} x {image.shape[0]} pixels; {suffix} holds at most {longest:,} a side: write it as .png,"
            " or show fewer clips"
        )
    if suffix == ".png":
        data = _encoded_image(uri, image, [])
    else:
        data = _below_limit(_encoded_image(uri, image, [_QUALITY_FLAGS[suffix], quality]) for quality in _QUALITIES)
    storage.publish_bytes(uri, data)


def _encoded_image(uri: str, image: np.ndarray, options: list[int]) -> bytes:
    encoded, data = cv2.imencode(_suffix(uri), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not encoded:
        raise DataError(f"{uri}: an image of shape {list(image.shape)} cannot be written as {_suffix(uri)}")
    return bytes(data.tobytes())


def _below_limit(candidates: Iterator[bytes]) -> bytes:
    """The first that is small enough, else the last."""
    data = b""
    for data in candidates:
        if len(data) <= MAX_LOSSY_BYTES:
            break
    return data


def write_animation(uri: str, frames: np.ndarray, fps: float) -> None:
    """Publish frames, uint8 "T H W 3" RGB, as a video or animated image; the suffix chooses. Equal frames give equal bytes.

    An .mp4 (H.264) of odd width or height repeats its last column or row, as that codec wants even sizes.
    Raises: ConfigError for another suffix, or a rate that is not positive; DataError if there is no frame.
    """
    check_array("frames", frames, "uint8", (None, None, None, 3))
    chosen = _FORMATS.get(_suffix(uri))
    if chosen is None:
        raise ConfigError(f"{uri}: an animation is written as one of {', '.join(ANIMATION_SUFFIXES)}; give it such a suffix")
    if not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"{uri}: {fps} frames per second; expected a positive number")
    if frames.size == 0:
        raise DataError(f"{uri}: frames of shape {list(frames.shape)}; an animation needs at least one")
    if chosen.container == "mp4":
        frames = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    with storage.publishing(uri) as path:
        _encode(path, frames, chosen, Fraction(fps).limit_denominator(100_000))


def _encode(path: Path, frames: np.ndarray, chosen: _Format, rate: Fraction) -> None:
    with av.open(str(path), "w", format=chosen.container, options=dict(chosen.container_options)) as container:
        stream = container.add_stream(chosen.codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = chosen.pixels
        stream.options = dict(chosen.codec_options)
        stream.codec_context.thread_count = 1  # more threads may change the bytes
        timed = _timed(frames, 1 / rate)
        for frame in _with_palette(timed, frames.shape[1:3], 1 / rate) if chosen.pixels == "pal8" else timed:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _timed(frames: np.ndarray, time_base: Fraction) -> Iterator[VideoFrame]:
    for index, array in enumerate(frames):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
        frame.pts, frame.time_base = index, time_base
        yield frame


def _with_palette(frames: Iterable[VideoFrame], size: tuple[int, int], time_base: Fraction) -> Iterator[VideoFrame]:
    """The frames in 256 colours chosen for them; GIF's fixed palette would show bands."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=size[1], height=size[0], format="rgb24", time_base=time_base)
    split, choose, use, sink = (
        graph.add(name, options)
        for name, options in (("split", None), ("palettegen", None), ("paletteuse", "dither=bayer:bayer_scale=4"), ("buffersink", None))
    )
    source.link_to(split)
    split.link_to(choose, 0, 0)
    split.link_to(use, 1, 0)
    choose.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for frame in frames:
        source.push(frame)
    source.push(None)  # the palette is known only after the last frame
    while True:
        try:
            yield sink.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return


def _suffix(uri: str) -> str:
    return PurePosixPath(uri).suffix.lower()
