"""Times that files do not state, or state wrongly: repaired where that is proven, else an error with the command that helps."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.video.copy import copy_spans
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span
from pipeline.video.probe import VideoProbe, probe_video

FIELD = Path(__file__).parents[3] / "golden" / "field"
PACKED = {"g": "12", "bf": "1", "b_strategy": "0", "qmin": "2", "qmax": "4"}
STEP = 40  # grey levels between frames, modulo 240


def shade(index: int) -> int:
    return (index * STEP) % 240 + 8


def write(path: Path, numbers: Sequence[int], *, codec: str = "libx264", options: dict[str, str] | None = None) -> Path:
    """Grey frames whose level says their number modulo 6, 30 per second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options or {"g": "12", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in numbers:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade(index), np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shades(data: bytes) -> list[int]:
    with av.open(io.BytesIO(data)) as container:
        return [round(float(frame.to_ndarray(format="rgb24").mean())) for frame in container.decode(video=0)]


def encoded(source: str, probe: VideoProbe, span: Span) -> bytes:
    ((_, data),) = encode_spans(source, "a", probe, [span], EncodePolicy(quality=6))
    assert isinstance(data, bytes), data
    return data


def assert_frames(data: bytes, numbers: Sequence[int]) -> None:
    np.testing.assert_allclose(shades(data), [shade(number) for number in numbers], atol=8)


def test_h264_with_b_frames_in_avi_is_ordered_by_the_decoder():
    path = FIELD / "h264_bframes.avi"
    probe = probe_video(str(path), path.name)
    assert (probe.num_frames, probe.repaired) == (60, True)
    np.testing.assert_allclose(probe.times_s, np.arange(60) / 30, atol=1e-6)
    assert probe.notes[0].startswith("times repaired: the file stores none, order of the pictures from the decoder")
    again = probe_video(encoded(str(path), probe, Span(20, 24)), "clip")
    np.testing.assert_allclose(again.times_s, np.arange(24) / 30, atol=1e-6)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("b.avi", "libx264"), ("a.h264", "libx264")])
def test_frames_shown_in_another_order_than_stored_come_in_the_right_one(name, codec, tmp_path):
    options = {"g": "12", "bf": "2", "qmin": "2", "qmax": "4"}
    path = write(tmp_path / name, range(36), codec=codec, options=options)
    probe = probe_video(str(path), name)
    np.testing.assert_allclose(probe.times_s, np.arange(36) / 30, atol=1e-6)
    assert_frames(encoded(str(path), probe, Span(5, 20)), range(5, 25))


def packed(path: Path, out: Path) -> Path:
    """B-frames as DivX packs them: behind the picture before in one packet, then a placeholder in their own place."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        data = [bytes(packet) for packet in source.demux(stream) if packet.size]
        is_b = [item[item.index(b"\0\0\1\xb6") + 4] >> 6 == 2 for item in data]
        data[0] = data[0].replace(b"Lavc", b"DivX503b1393p\0Lavc", 1)
        place, parts = 0, []
        while place < len(data):
            pair = place + 1 < len(data) and is_b[place + 1] and not is_b[place]
            parts += [data[place] + data[place + 1], b"\0\0\1\xb6\x51\xe0\x7f"] if pair else [data[place]]
            place += 2 if pair else 1
        for index, part in enumerate(parts):
            packet = av.Packet(part)
            packet.pts = packet.dts = index
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 30), copy, index == 0
            target.mux(packet)
    return out


def test_packed_b_frames_are_unpacked(tmp_path):
    plain = write(tmp_path / "plain.avi", range(24), codec="mpeg4", options=PACKED)
    path = packed(plain, tmp_path / "packed.avi")
    probe = probe_video(str(path), path.name)
    assert (probe.num_frames, probe.repaired) == (24, True)
    assert_frames(encoded(str(path), probe, Span(0, 24)), range(24))


def test_dropped_frames_keep_their_gap_in_time():
    path = FIELD / "dropped_frames.avi"
    probe = probe_video(str(path), path.name)
    np.testing.assert_allclose(probe.times_s, np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13]) / 30, atol=1e-6)
    assert (probe.lost, probe.repaired, probe.notes) == ("", False, ())
    ((_, data),) = copy_spans(str(path), path.name, probe, [Span(0, 12)])
    np.testing.assert_allclose(probe_video(data, "clip").times_s, probe.times_s, atol=1e-4)


def test_a_clock_that_begins_anew_joins_the_parts_and_no_clip_goes_across(tmp_path):
    part = write(tmp_path / "a.ts", range(40), options={"g": "12", "bf": "2"}).read_bytes()
    both = tmp_path / "both.ts"
    both.write_bytes(part + part)
    probe = probe_video(str(both), both.name)
    assert (probe.num_frames, probe.breaks, probe.damaged.tolist()) == (80, (40,), [])
    np.testing.assert_allclose(probe.times_s, np.arange(80) / 30, atol=1e-6)
    assert_frames(encoded(str(both), probe, Span(30, 10)), range(30, 40))
    assert_frames(encoded(str(both), probe, Span(40, 12)), range(12))


def test_a_clock_of_33_bits_that_wraps_counts_on(tmp_path):
    path = tmp_path / "wrap.ts"
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream("mpeg2video", rate=30, options={"g": "6", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frames = []
        for index in range(30):
            frames.append(av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade(index), np.uint8), format="rgb24"))
            frames[-1].pts, frames[-1].time_base = index, Fraction(1, 30)
        for packet in (packet for frame in (*frames, None) for packet in stream.encode(frame)):
            shift = round((2**33 - 60_000) / 90_000 / packet.time_base)  # the clock wraps behind two thirds of the frames
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            container.mux(packet)
    probe = probe_video(str(path), path.name)
    np.testing.assert_allclose(probe.times_s, np.arange(30) / 30, atol=1e-4)
    assert (probe.breaks, probe.repaired) == ((), False)


def retimed(path: Path, out: Path, times: Sequence[int]) -> Path:
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet, time in zip((packet for packet in source.demux(stream) if packet.size), times, strict=True):
            packet.pts = packet.dts = time
            packet.time_base, packet.stream = Fraction(1, 1000), copy
            target.mux(packet)
    return out


def test_times_that_were_rounded_to_the_same_are_moved_apart_by_a_tick(tmp_path):
    plain = write(tmp_path / "a.mp4", range(12))
    path = retimed(plain, tmp_path / "twice.mkv", [0, 10, 20, 20, 40, 50, 60, 70, 80, 90, 100, 110])
    probe = probe_video(str(path), path.name)
    np.testing.assert_allclose(probe.times_s * 1000, [0, 10, 20, 21, 40, 50, 60, 70, 80, 90, 100, 110], atol=1e-3)
    assert probe.notes == ("times repaired: 1 pictures shared a time with the one before, moved on by 0.001 s each",)
    assert_frames(encoded(str(path), probe, Span(0, 12)), range(12))


def test_times_that_all_are_the_same_are_refused_with_the_command_that_makes_the_video_anew(tmp_path):
    path = retimed(write(tmp_path / "a.mp4", range(12)), tmp_path / "still one.mkv", [0] * 12)
    with pytest.raises(DataError, match="share a time with another; make it anew: ffmpeg -i 'still one.mkv' -map 0:0 -vf 'setpts=N/"):
        probe_video(str(path), path.name)
