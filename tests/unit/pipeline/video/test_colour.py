"""Colours survive cutting: what a reader gives is what was filmed, whether a clip was copied or re-encoded."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.video.colour import Colour, colour_of
from pipeline.video.copy import copy_spans
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span
from pipeline.video.open import open_video, to_rgb
from pipeline.video.probe import probe_video

CORNERS = np.array([[[200, 60, 40], [40, 160, 70]], [[50, 60, 190], [235, 235, 235]]])  # top left, top right; bottom left, bottom right
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 2: (0.299, 0.114), 9: (0.2627, 0.0593)}  # red and blue in luma, H.273


def four_patches(width: int = 64, height: int = 64) -> np.ndarray:
    return np.repeat(np.repeat(CORNERS, height // 2, 0), width // 2, 1).astype(np.uint8)


def planes_of(rgb: np.ndarray, matrix: int, full: bool, bits: int) -> list[np.ndarray]:
    """Y, Cb, Cr codes by H.273's formulas."""
    red, blue = WEIGHTS.get(matrix, WEIGHTS[6])
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = [(b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))]
    scale, top = 2 ** (bits - 8), 2**bits - 1
    if full:
        return [top * luma, *(128 * scale + top * part for part in chroma)]
    return [scale * (16 + 219 * luma), *(scale * (128 + 224 * part) for part in chroma)]


def write_tagged(
    path: Path, pixel_format: str, *, tags: tuple[int, int, int, int] = (2, 0, 2, 2), codec: str = "libx264", full: bool = False
) -> Path:
    """Four frames of the patches; `tags` are matrix, range, primaries, transfer, as the file says them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixel_format
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        context.thread_count = 1
        if codec == "libx264":
            stream.options = {"crf": "4", "preset": "veryfast"}
        for index in range(4):
            frame = av.VideoFrame(64, 64, pixel_format)
            bits = 10 if "10" in pixel_format else 8
            for plane, codes in zip(frame.planes, planes_of(four_patches(), tags[0], full, bits), strict=True):
                small = codes[:: 64 // plane.height, :: 64 // plane.width]
                line = np.zeros((plane.height, plane.line_size // (2 if bits > 8 else 1)), np.uint16 if bits > 8 else np.uint8)
                line[:, : plane.width] = np.rint(small)
                plane.update(line.tobytes())
            frame.pts, frame.time_base = index, Fraction(1, 30)
            frame.colorspace, frame.color_range = tags[0], tags[1]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def patches(picture: np.ndarray) -> np.ndarray:
    """int "2 2 3": the middle of each quarter."""
    height, width = picture.shape[:2]
    return picture[height // 4 :: height // 2, width // 4 :: width // 2].astype(int)


def shown(data: bytes) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Patches of the second frame, and its tags."""
    with open_video(data, "clip") as (container, stream):
        frame = list(container.decode(stream))[1]
    colour = colour_of(frame)
    return patches(to_rgb(frame)), (colour.matrix, colour.range, colour.primaries, colour.transfer)


@pytest.mark.parametrize(
    ("pixel_format", "tags", "full", "encoded_tags"),
    [
        ("yuv420p", (6, 1, 6, 6), False, (6, 1, 6, 6)),
        ("yuv420p", (2, 0, 2, 2), False, (6, 1, 2, 2)),  # without tags: as libswscale reads it, and written down
        ("yuv420p", (1, 1, 1, 1), False, (1, 1, 1, 1)),
        ("yuv420p", (1, 2, 1, 1), True, (1, 2, 1, 1)),
        ("yuv420p", (6, 2, 1, 13), True, (6, 2, 1, 13)),  # phones: BT.601 of full range, sRGB
        ("yuv420p", (9, 1, 9, 14), False, (9, 1, 9, 14)),
        ("yuv422p", (1, 1, 1, 1), False, (1, 1, 1, 1)),
        ("yuv444p", (1, 2, 1, 1), True, (1, 2, 1, 1)),
        ("yuv420p10le", (9, 1, 9, 14), False, (9, 1, 9, 14)),
        ("yuv422p10le", (1, 1, 1, 1), False, (1, 1, 1, 1)),
    ],
)
def test_a_clip_has_the_colours_of_its_source_copied_or_encoded(pixel_format, tags, full, encoded_tags, tmp_path):
    path = write_tagged(tmp_path / "a.mp4", pixel_format, tags=tags, full=full)
    probe = probe_video(str(path), path.name)
    ((_, copied),) = copy_spans(str(path), path.name, probe, [Span(0, 4)])
    ((_, encoded),) = encode_spans(str(path), path.name, probe, [Span(0, 4)], EncodePolicy())
    ((_, small),) = encode_spans(str(path), path.name, probe, [Span(0, 4)], EncodePolicy(long_side=32))
    for data in (copied, encoded, small):
        assert np.abs(shown(data)[0] - CORNERS).max() <= 4
    assert shown(encoded)[1] == shown(small)[1] == encoded_tags
    assert (b"colr" in encoded) == (2 not in encoded_tags[2:])  # for readers of the container; the muxer writes it if nothing is open
    assert probe.picture.needs_encoding == ()


@pytest.mark.parametrize(("codec", "name", "pixel_format"), [("mjpeg", "a.avi", "yuvj420p"), ("mjpeg", "b.mov", "yuvj444p")])
def test_full_range_that_only_the_pixel_format_tells_is_kept(codec, name, pixel_format, tmp_path):
    path = write_tagged(tmp_path / name, pixel_format, codec=codec, tags=(6, 2, 2, 2), full=True)
    probe = probe_video(str(path), path.name)
    ((_, encoded),) = encode_spans(str(path), path.name, probe, [Span(0, 4)], EncodePolicy())
    assert np.abs(shown(encoded)[0] - CORNERS).max() <= 6  # JPEG's own loss in chroma is 3
    assert shown(encoded)[1][:2] == (5, 2)  # JPEG's matrix, BT.601 by another number


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.mov", "png", "rgb24"), ("a.mkv", "ffv1", "bgr0"), ("a.mov", "png", "gray"), ("a.avi", "utvideo", "gbrp")],
)
def test_screen_recordings_in_rgb_and_grey_keep_their_levels(name, codec, pixel_format, tmp_path):
    picture = four_patches() if pixel_format != "gray" else np.repeat(four_patches()[..., :1], 3, 2)
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixel_format
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    probe = probe_video(str(path), path.name)
    ((_, encoded),) = encode_spans(str(path), path.name, probe, [Span(0, 4)], EncodePolicy())
    assert np.abs(shown(encoded)[0] - patches(picture)).max() <= 4


def test_a_plain_pyav_reader_sees_the_same_colours(tmp_path, play_with_pyav):
    path = write_tagged(tmp_path / "a.mp4", "yuv420p", tags=(1, 1, 1, 1))
    ((_, encoded),) = encode_spans(str(path), path.name, probe_video(str(path), path.name), [Span(0, 4)], EncodePolicy())
    assert np.abs(patches(play_with_pyav(encoded)[1]) - CORNERS).max() <= 4


def test_colours_that_cannot_be_converted_are_refused_with_the_remedy(tmp_path):
    path = write_tagged(tmp_path / "a.mp4", "yuv420p", tags=(8, 1, 1, 1))  # YCgCo
    with pytest.raises(DataError, match="a.mp4: its colour matrix .H.273 number 8.*zscale=matrix=709"):
        probe_video(str(path), path.name)


def test_a_number_that_the_standard_reserves_is_as_no_tag():
    frame = av.VideoFrame(16, 16, "yuv420p")
    frame.colorspace, frame.color_primaries, frame.color_trc = 3, 3, 0
    assert colour_of(frame) == Colour()
