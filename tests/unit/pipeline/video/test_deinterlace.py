"""Interlaced sources become progressive clips: as many frames, at the same times, without combs."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.shards.planning import video_mode
from pipeline.shards.policy import ClipPolicy
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span
from pipeline.video.probe import probe_video

BAR, STEP = 16, 8  # pixels: the bar's width, and its way in one frame; the second field is half a step further


def write_bar(path: Path, *, codec: str = "libx264", options: dict[str, str] | None = None, num_frames: int = 12) -> Path:
    """A white bar moving right on dark grey, 128 x 64; every other row is half a frame later."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for index in range(num_frames):
            picture = np.full((64, 128, 3), 30, np.uint8)
            for parity in (0, 1):
                left = index * STEP + parity * STEP // 2
                picture[parity::2, left : left + BAR] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def comb(picture: np.ndarray) -> float:
    """Mean difference of a row from the mean of its neighbours."""
    grey = picture.astype(float).mean(-1)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


def left_edge(picture: np.ndarray) -> int:
    return int(np.argmax(picture[20:40, :, 0].mean(0) > 125))


INTERLACED = [
    ("a.mp4", "libx264", {"flags": "+ilme+ildct", "x264-params": "tff=1"}),
    ("a.ts", "mpeg2video", {"flags": "+ilme+ildct"}),
    ("a.avi", "mpeg4", {"flags": "+ilme+ildct"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), INTERLACED)
def test_an_interlaced_source_is_encoded_without_combs(name, codec, options, tmp_path, play_with_pyav):
    path = write_bar(tmp_path / name, codec=codec, options=options)
    source, probe = play_with_pyav(path), probe_video(str(path), name)
    assert probe.picture.needs_encoding == ("interlaced",)
    assert probe.picture.notes("h264") == ("deinterlaced (bwdif)",)
    assert video_mode([Span(0, 12)], probe, ClipPolicy(min_frames=2)) == "h264"
    ((_, data),) = encode_spans(str(path), name, probe, [Span(0, 12)], EncodePolicy(quality=8))
    shown, again = play_with_pyav(data), probe_video(data, "clip")
    assert len(shown) == len(source) == 12
    np.testing.assert_allclose(again.times_s, probe.times_s, atol=2e-4)
    assert min(map(comb, source)) > 10
    assert max(map(comb, shown[1:-1])) < 3
    edges = [left_edge(picture) for picture in shown]
    assert set(np.diff(edges[1:-1])) <= {STEP - 1, STEP, STEP + 1}  # one time per frame, none twice, none left out
    assert not again.picture.interlaced


def test_a_clip_does_not_depend_on_where_decoding_began(tmp_path):
    path = write_bar(tmp_path / "a.mp4", codec="libx264", options=INTERLACED[0][2])
    probe = probe_video(str(path), "a.mp4")
    ((_, alone),) = encode_spans(str(path), "a.mp4", probe, [Span(6, 4)], EncodePolicy())
    among = dict(encode_spans(str(path), "a.mp4", probe, [Span(0, 6), Span(6, 4), Span(8, 4)], EncodePolicy()))
    assert alone == among[1]
    assert sorted(among) == [0, 1, 2]


def test_a_copy_of_an_interlaced_source_is_refused_with_the_remedy(tmp_path):
    path = write_bar(tmp_path / "a.mp4", codec="libx264", options=INTERLACED[0][2])
    with pytest.raises(DataError, match="interlaced video cannot be copied.*--video auto or h264"):
        video_mode([Span(0, 12)], probe_video(str(path), "a.mp4"), ClipPolicy(min_frames=2, video="copy"))


def test_frames_flagged_as_progressive_are_left_alone(tmp_path, play_with_pyav):
    path = write_bar(tmp_path / "a.mp4", options={"crf": "8"})
    source, probe = play_with_pyav(path), probe_video(str(path), "a.mp4")
    assert probe.picture.needs_encoding == ()
    ((_, data),) = encode_spans(str(path), "a.mp4", probe, [Span(0, 12)], EncodePolicy(quality=8))
    assert comb(play_with_pyav(data)[5]) == pytest.approx(comb(source[5]), rel=0.1)  # its stripes are the picture


def test_interlaced_frames_that_come_late_are_deinterlaced_too(tmp_path, play_with_pyav):
    parts = [write_bar(tmp_path / f"{index}.ts", codec="mpeg2video", options=options, num_frames=30 if index == 0 else 8)
             for index, options in enumerate(({}, INTERLACED[1][2]))]  # fmt: skip
    path = tmp_path / "late.ts"
    with av.open(str(path), "w") as output:
        stream = None
        for start, part in zip((0, 30), parts, strict=True):
            with av.open(str(part)) as source:
                stream = stream or output.add_stream_from_template(source.streams.video[0])
                first = None
                for packet in source.demux(video=0):
                    if packet.size:
                        first = packet.dts if first is None else first
                        shift = start * 3600 - first + 90_000
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        output.mux(packet)
    probe = probe_video(str(path), "late.ts")
    ((_, data),) = encode_spans(str(path), "late.ts", probe, [Span(30, 8)], EncodePolicy(quality=8))
    shown = play_with_pyav(data)
    assert len(shown) == 8
    assert max(map(comb, shown[1:-1])) < 3
