"""The shape of pictures: square pixels, and what happens where a source changes its size."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.shards.planning import video_mode
from pipeline.shards.policy import ClipPolicy
from pipeline.video.colour import Colour
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span
from pipeline.video.picture import PictureTraits
from pipeline.video.probe import VideoProbe, probe_video
from pipeline.video.scenes import scene_cuts

UNIT = 1 << 16


def circle(width: int, height: int, stored_width: int) -> np.ndarray:
    """A picture of width x height with a white disc in the middle, stored with fewer or more columns."""
    x, y = (np.arange(stored_width) + 0.5) * width / stored_width - width / 2, np.arange(height) + 0.5 - height / 2
    disc = np.hypot(x, y[:, None]) < height / 3
    return np.repeat(np.where(disc, 230, 40)[..., None], 3, 2).astype(np.uint8)


def write_pictures(path: Path, pictures: Sequence[np.ndarray], *, aspect: Fraction | None = None, matrix: Sequence[int] = ()) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "8", "preset": "veryfast", "g": "8", "bf": "0"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix:
            stream.set_display_matrix(list(matrix))
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def extent(picture: np.ndarray) -> tuple[int, int]:
    """(width, height) of what is white."""
    white = picture[..., 0] > 135
    return int(white.any(0).sum()), int(white.any(1).sum())


@pytest.mark.parametrize(
    ("stored_width", "aspect", "shown"),
    [(120, Fraction(4, 3), (160, 96)), (180, Fraction(8, 9), (160, 96)), (108, Fraction(64, 45), (154, 96))],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_pixels_become_square_and_a_circle_is_round(name, stored_width, aspect, shown, tmp_path, play_with_pyav):
    path = write_pictures(tmp_path / name, [circle(160, 96, stored_width)] * 6, aspect=aspect)
    probe = probe_video(str(path), name)
    assert probe.picture.needs_encoding == (f"pixels of {aspect.numerator}:{aspect.denominator}",)
    ((_, data),) = encode_spans(str(path), name, probe, [Span(0, 6)], EncodePolicy())
    picture = play_with_pyav(data)[3]
    assert picture.shape[1::-1] == shown
    if shown == (160, 96):
        assert extent(picture) == pytest.approx((64, 64), abs=2)
    assert probe_video(data, "clip").picture.aspect == 1
    with pytest.raises(DataError, match="not square, cannot be copied; use --video auto or h264"):
        video_mode([Span(0, 6)], probe, ClipPolicy(min_frames=2, video="copy"))
    assert video_mode([Span(0, 6)], probe, ClipPolicy(min_frames=2)) == "h264"


def test_the_long_side_is_that_of_the_square_picture(tmp_path, play_with_pyav):
    path = write_pictures(tmp_path / "a.mp4", [circle(160, 96, 120)] * 6, aspect=Fraction(4, 3))
    ((_, data),) = encode_spans(str(path), "a.mp4", probe_video(str(path), "a.mp4"), [Span(0, 6)], EncodePolicy(long_side=80))
    assert play_with_pyav(data).shape == (6, 48, 80, 3)


def test_a_turned_picture_of_oblong_pixels(tmp_path, play_with_pyav):
    quarter = (0, UNIT, 0, -UNIT, 0, 0, 0, 0, 1 << 30)
    path = write_pictures(tmp_path / "a.mp4", [circle(160, 96, 120)] * 6, aspect=Fraction(4, 3), matrix=quarter)
    probe = probe_video(str(path), "a.mp4")
    assert probe.shown_size == (96, 160)
    ((_, data),) = encode_spans(str(path), "a.mp4", probe, [Span(0, 6)], EncodePolicy())
    picture = play_with_pyav(data)[3]
    assert picture.shape[:2] == (160, 96)
    assert extent(picture) == pytest.approx((64, 64), abs=2)


def test_the_container_has_the_last_word_on_the_aspect(tmp_path):
    path = write_pictures(tmp_path / "a.mp4", [circle(160, 96, 120)] * 6, aspect=Fraction(4, 3))
    data = bytearray(path.read_bytes())
    at = data.index(b"pasp") + 4
    assert data[at : at + 8] == bytes([0, 0, 0, 4, 0, 0, 0, 3])
    data[at : at + 8] = bytes([0, 0, 0, 3, 0, 0, 0, 2])
    probe = probe_video(bytes(data), "a.mp4")
    assert (probe.picture.aspect, probe.picture.coded_aspect) == (Fraction(3, 2), Fraction(4, 3))
    ((_, clip),) = encode_spans(bytes(data), "a.mp4", probe, [Span(0, 6)], EncodePolicy())
    assert isinstance(clip, bytes)
    assert (probe_video(clip, "clip").width, probe.shown_size) == (180, (180, 96))


def test_an_aspect_that_changes_the_width_by_a_pixel_at_most_is_square(tmp_path):
    path = write_pictures(tmp_path / "a.mp4", [np.full((96, 160, 3), 90, np.uint8)] * 6, aspect=Fraction(1280, 1281))
    assert probe_video(str(path), "a.mp4").picture == PictureTraits(colour=Colour())


def joined(tmp_path: Path, parts: Sequence[Path]) -> Path:
    """H.264 transport streams one after the other, the clock running on, 8 frames each."""
    path = tmp_path / "joined.ts"
    with av.open(str(path), "w") as output:
        stream = None
        for number, part in enumerate(parts):
            with av.open(str(part)) as source:
                stream = stream or output.add_stream_from_template(source.streams.video[0])
                packets = [packet for packet in source.demux(video=0) if packet.size]
                shift = number * 8 * 3000 - packets[0].dts + 90_000
                for packet in packets:
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    output.mux(packet)
    return path


@pytest.fixture
def changing(tmp_path: Path) -> tuple[Path, VideoProbe]:
    """8 frames of 160x96, then 8 of 96x96, a disc in each."""
    parts = [write_pictures(tmp_path / f"{width}.ts", [circle(width, 96, width)] * 8) for width in (160, 96)]
    path = joined(tmp_path, parts)
    return path, probe_video(str(path), path.name)


def test_a_change_of_size_costs_only_the_clip_that_it_touches(changing, play_with_pyav):
    path, probe = changing
    assert (probe.num_frames, probe.breaks) == (16, (8,))
    results = dict(encode_spans(str(path), path.name, probe, [Span(0, 8), Span(4, 8), Span(8, 8)], EncodePolicy()))
    for position, width in ((0, 160), (2, 96)):
        pictures = play_with_pyav(results[position])
        assert pictures.shape == (8, 96, width, 3)
        assert all(extent(picture) == pytest.approx((64, 64), abs=2) for picture in pictures)  # nothing is stretched
    assert isinstance(results[1], DataError)
    assert "joined.ts: the picture changes from 160x96 to 96x96 at frame 8" in str(results[1])
    assert "start_frame, end_frame" in str(results[1])


def test_a_change_of_size_is_a_scene_cut(changing):
    pytest.importorskip("scenedetect")
    path, probe = changing
    assert scene_cuts(str(path), path.name, probe) == (8,)


def test_a_change_of_the_aspect_alone_is_a_change_of_size(tmp_path, play_with_pyav):
    parts = [write_pictures(tmp_path / f"{number}.ts", [circle(shown, 96, 120)] * 8, aspect=Fraction(shown, 120))
             for number, shown in enumerate((120, 160))]  # fmt: skip
    path = joined(tmp_path, parts)
    results = dict(encode_spans(str(path), "a.ts", probe_video(str(path), "a.ts"), [Span(0, 8), Span(4, 8), Span(8, 8)], EncodePolicy()))
    assert [play_with_pyav(results[position]).shape[2] for position in (0, 2)] == [120, 160]
    assert extent(play_with_pyav(results[2])[4]) == pytest.approx((64, 64), abs=2)
    assert "from 120x96 to 160x96 at frame 8" in str(results[1])


def test_a_change_of_pixel_format_and_range_within_a_clip_keeps_the_colours(tmp_path, play_with_pyav):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:  # two encoders, one after the other, whose frames are one stream
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        index = 0
        for pixel_format in ("yuvj420p", "yuvj444p"):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 64, pixel_format, Fraction(1, 30)
            for _ in range(4):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), (200, 60, 40), np.uint8), format="rgb24")
                frame = frame.reformat(format=pixel_format, dst_color_range=2)
                frame.pts, frame.time_base = index, Fraction(1, 30)
                for packet in [*encoder.encode(frame)]:
                    packet.pts = packet.dts = index
                    packet.time_base, packet.stream = Fraction(1, 30), stream
                    container.mux(packet)
                index += 1
    with av.open(str(path)) as container:
        assert [frame.format.name for frame in container.decode(video=0)] == ["yuvj420p"] * 4 + ["yuvj444p"] * 4
    ((_, data),) = encode_spans(str(path), "a.mkv", probe_video(str(path), "a.mkv"), [Span(0, 8)], EncodePolicy())
    assert np.abs(play_with_pyav(data)[:, 32, 32].astype(int) - (200, 60, 40)).max() <= 6


def test_traits_come_back_from_the_probe_table_and_old_tables_are_plain():
    traits = PictureTraits(
        colour=Colour(matrix=9, range=2, primaries=9, transfer=16),
        interlaced=True, aspect=Fraction(64, 45), coded_aspect=Fraction(1), mirrored=True, rounded_deg=3,
    )  # fmt: skip
    assert PictureTraits.from_json(traits.to_json()) == traits
    assert PictureTraits.from_json(None) == PictureTraits()
    assert PictureTraits().needs_encoding == PictureTraits().notes("copy") == PictureTraits().notes("h264") == ()
