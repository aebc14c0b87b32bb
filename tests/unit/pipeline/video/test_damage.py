"""Damage costs the clips that it touches, and no other; which stream is taken; what is no video."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.video.copy import copy_spans
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import complete_up_to, touched
from pipeline.video.probe import probe_video
from pipeline.video.spans import Span

FIELD = Path(__file__).parents[3] / "golden" / "field"
PACKET = 188  # bytes of a transport stream's packet


def flags(text: str) -> np.ndarray:
    return np.array([letter == "x" for letter in text])


def test_from_a_damaged_packet_to_the_next_key_frame_and_what_is_shown_before_that():
    #                      0  1  2  3  4  key 5: 8 is stored before 6 and 7, which are shown before it
    packet_pts = np.array([0, 1, 2, 3, 4, 8, 6, 7, 9, 10])
    keys = flags("x....x....")
    assert touched(packet_pts, keys, flags("...x......")).tolist() == flags("...xx.xx..").tolist()
    assert touched(packet_pts, keys, flags("........x.")).tolist() == flags("........xx").tolist()
    assert not touched(packet_pts, keys, flags("..........")).any()


def test_behind_a_cut_only_what_is_complete_is_kept():
    packet_pts = np.array([0, 3, 1, 2, 6, 4])  # 5 is lost, and with it the place of 6
    assert complete_up_to(packet_pts, flags("xxxxxx")).tolist() == flags("xxxx..").tolist()


@pytest.mark.parametrize(("codec", "options"), [
    ("libx264", {"g": "12", "bf": "0", "sc_threshold": "0"}),
    ("libx264", {"g": "12", "bf": "2", "sc_threshold": "0"}),
    ("mpeg2video", {"g": "12", "bf": "2", "sc_threshold": "0"}),
    ("libx265", {"x265-params": "keyint=12:min-keyint=12:open-gop=0:scenecut=0:bframes=2:log-level=error"}),
])  # fmt: skip
def test_a_lost_transport_packet_costs_its_group_alone(codec, options, tmp_path):
    good = noise(tmp_path / "good.ts", codec, options)
    data = good.read_bytes()
    at = len(data) // 2 // PACKET * PACKET
    while data[at + 1] & 31 != 1 or data[at + 1] & 0x40:  # of the video, within a picture
        at += PACKET
    bad = tmp_path / "bad.ts"
    bad.write_bytes(data[:at] + data[at + PACKET :])
    whole, probe = probe_video(str(good), "good.ts"), probe_video(str(bad), "bad.ts")
    assert 1 <= len(probe.damaged) <= 14
    spans = [span for span in (Span(first, 12) for first in range(0, 48, 12)) if not probe.damage_in(span)]
    assert len(spans) >= 2
    policy = EncodePolicy(quality=6)
    expected = dict(encode_spans(str(good), "good.ts", whole, spans, policy))
    found = dict(encode_spans(str(bad), "bad.ts", probe, spans, policy))
    assert sum(isinstance(data, bytes) for data in found.values()) >= 2
    assert all(data == expected[place] for place, data in found.items() if isinstance(data, bytes))


def noise(path: Path, codec: str, options: dict[str, str]) -> Path:
    """48 frames of noise: every picture fills several packets."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(48):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rng.integers(0, 255, (48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_picture_that_is_missing_in_matroska_is_noticed_by_its_number(tmp_path):
    source = noise(tmp_path / "good.mkv", "libx264", {"g": "12", "bf": "0", "sc_threshold": "0"})
    bad = tmp_path / "bad.mkv"
    with av.open(str(source)) as whole, av.open(str(bad), "w") as holed:
        stream = whole.streams.video[0]
        copy = holed.add_stream_from_template(stream)
        for place, packet in enumerate(packet for packet in whole.demux(stream) if packet.size):
            if place != 17:
                packet.stream = copy
                holed.mux(packet)
    probe = probe_video(str(bad), "bad.mkv")
    assert probe.num_frames == 47
    assert probe.damaged.tolist() == list(range(17, 23))  # source frames 18..23: to the next key frame


def test_the_field_file_with_one_lost_packet():
    probe = probe_video(str(FIELD / "one_lost_packet.ts"), "one_lost_packet.ts")
    assert probe.damaged.tolist() == [31, 32, 33, 34, 35]
    assert [bool(probe.damage_in(Span(first, 12))) for first in range(0, 60, 12)] == [False, False, True, False, False]


def test_the_default_stream_is_taken_and_said():
    path = FIELD / "second_stream_default.mkv"
    probe = probe_video(str(path), path.name)
    assert (probe.width, probe.height, probe.stream, probe.num_frames) == (160, 96, 1, 24)
    assert probe.notes == ("stream 1 (160x96) of 2 video streams taken, not 0 (80x48)",)
    ((_, copied),) = copy_spans(str(path), path.name, probe, [Span(0, 24)])
    ((_, encoded),) = encode_spans(str(path), path.name, probe, [Span(0, 24)], EncodePolicy())
    for data in (copied, encoded):
        assert isinstance(data, bytes)
        assert probe_video(data, "clip").width == 160


def test_cover_art_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuvj420p"
        stream.disposition = av.stream.Disposition.attached_pic
        small = container.add_stream("libx264", rate=30)
        small.width, small.height, small.pix_fmt = 64, 48, "yuv420p"
        for index in range(8):
            if index == 0:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((320, 320, 3), np.uint8), format="rgb24")))
            container.mux(small.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(small.encode(None))
    assert probe_video(str(path), "song.mp4").width == 64


def test_a_codec_that_nobody_knows_is_refused_with_the_remedy(tmp_path):
    data = noise(tmp_path / "a.avi", "mpeg4", {}).read_bytes()
    (tmp_path / "b.avi").write_bytes(data.replace(b"FMP4", b"Zz#9"))
    with pytest.raises(DataError, match="b.avi: its codec is unknown.*convert it to H.264"):
        probe_video(str(tmp_path / "b.avi"), "b.avi")
