"""Damage costs the clips that it touches, and no other; which stream is taken; what is no video."""

from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.shards.windows import windows_of
from pipeline.video.copy import copy_spans
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span, complete_up_to, touched
from pipeline.video.probe import probe_video

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


CODECS = {  # closed groups of 12 pictures
    "H.264": ("libx264", {"g": "12", "bf": "0", "sc_threshold": "0"}),
    "H.264, B-frames": ("libx264", {"g": "12", "bf": "2", "sc_threshold": "0"}),
    "MPEG-2": ("mpeg2video", {"g": "12", "bf": "0", "sc_threshold": "1000000000"}),
    "HEVC": ("libx265", {"x265-params": "keyint=12:min-keyint=12:open-gop=0:scenecut=0:bframes=2:log-level=error"}),
}
LOSSES = {  # (place of the first lost packet from the first of a picture, how many) per picture of the 60, in stored order
    "beginning": {30: (0, 1)},
    "middle": {30: (1, 1)},
    "end, before the next group": {35: (-1, 1)},
    "key frame": {24: (2, 1)},
    "several": {25: (1, 1), 28: (0, 2), 33: (1, 1)},
    "across a key frame": {24: (-1, 3)},
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("codec", CODECS)
def test_lost_transport_packets_cost_their_groups_alone(codec, loss, sources):
    good, bad = sources(codec), sources(codec).with_stem("bad")
    data = good.read_bytes()
    packets = [data[at : at + PACKET] for at in range(0, len(data), PACKET)]
    video = [place for place, packet in enumerate(packets) if (packet[1] & 31, packet[2]) == (1, 0)]
    starts = [number for number, place in enumerate(video) if packets[place][1] & 0x40]
    assert len(starts) == 60
    lost: set[int] = set()
    for picture, (skip, count) in LOSSES[loss].items():
        first = starts[picture + (skip < 0 and loss.startswith("end"))] + skip
        lost |= set(video[first : first + count])
    bad.write_bytes(b"".join(packet for place, packet in enumerate(packets) if place not in lost))
    whole, probe = probe_video(str(good), "good.ts"), probe_video(str(bad), "bad.ts")
    assert not len(whole.damaged)
    windows = windows_of(Span(0, probe.num_frames), 12, 12, 6)
    spans = [span for span in windows if not probe.damage_in(span)]
    same = [Span(int(np.searchsorted(whole.pts, probe.pts[span.first])), span.count) for span in spans]
    for span, true in zip(spans, same, strict=True):
        assert np.array_equal(probe.pts[span.first : span.end], whole.pts[true.first : true.end])
    policy = EncodePolicy(quality=6)
    found = dict(encode_spans(str(bad), "bad.ts", probe, spans, policy))
    assert found == dict(encode_spans(str(good), "good.ts", whole, same, policy))
    assert len(windows) == 5
    assert len(found) == (3 if loss.startswith("across") else 4)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """sources(codec) -> a transport stream of 60 pictures, each made once."""
    folder = tmp_path_factory.mktemp("transport")

    @cache
    def make(codec: str) -> Path:
        (folder / codec).mkdir()
        return noise(folder / codec / "good.ts", *CODECS[codec], num_frames=60)

    return make


def noise(path: Path, codec: str, options: dict[str, str], num_frames: int = 48) -> Path:
    """Frames of noise: every picture fills several packets."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(num_frames):
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
    assert probe.damaged.tolist() == [32, 33, 34, 35]
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
