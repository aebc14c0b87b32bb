"""What probing says of good sources, and of every kind of broken one."""

import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.errors import DataError, StorageError
from pipeline.video.probe import probe_video


def test_frames_times_and_key_frames_of_a_plain_video(make_video):
    probe = probe_video(str(make_video(num_frames=30)), "a.mp4")
    assert (probe.codec, probe.width, probe.height, probe.num_frames) == ("h264", 160, 96, 30)
    np.testing.assert_allclose(probe.times_s, np.arange(30) / 30, atol=1e-6)
    assert [probe.lead_in(index) for index in (0, 11, 12, 25)] == [0, 11, 0, 1]  # a key frame every 12
    assert probe.time_after(29) == pytest.approx(1.0, abs=1e-5)


def test_time_counts_from_the_first_frame_and_keeps_a_variable_rate(make_video):
    probe = probe_video(str(make_video(num_frames=5, ticks=[500, 503, 510, 511, 520], time_base=Fraction(1, 100), name="a.mkv")), "a.mkv")
    np.testing.assert_allclose(probe.times_s, [0, 0.03, 0.10, 0.11, 0.20], atol=1.1e-3)  # Matroska keeps milliseconds


def test_a_rotated_video_has_the_size_that_a_player_shows(make_video):
    probe = probe_video(str(make_video(num_frames=5, rotation=90)), "a.mp4")
    assert (probe.width, probe.height, probe.quarter_turns) == (96, 160, 1)


def faulty_files(make_video, folder):
    good = make_video(num_frames=40).read_bytes()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is not a video\n" * 50)
    (folder / "cut.mp4").write_bytes(good[: len(good) * 6 // 10])
    with wave.open(str(folder / "audio.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.mp4", "empty"),
        ("text.mp4", "not readable as video"),
        ("cut.mp4", "not readable as video|cut short"),
        ("audio.wav", "no video stream .found audio."),
    ],
)
def test_a_broken_source_is_named_with_the_remedy(name, says, make_video, tmp_path):
    faulty_files(make_video, tmp_path)
    with pytest.raises(DataError, match=says) as raised:
        probe_video(str(tmp_path / name), name)
    assert name in str(raised.value)
    assert any(word in str(raised.value) for word in ("fetch it again", "drop it"))


def test_of_a_file_cut_short_behind_its_header_the_front_is_kept_and_the_loss_is_said(make_video, tmp_path):
    with (
        av.open(str(make_video(num_frames=40))) as source,
        av.open(str(tmp_path / "front.mp4"), "w", options={"movflags": "faststart"}) as copy,
    ):
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    data = (tmp_path / "front.mp4").read_bytes()
    (tmp_path / "short.mp4").write_bytes(data[: len(data) * 6 // 10])
    probe = probe_video(str(tmp_path / "short.mp4"), "short.mp4")
    assert 15 < probe.num_frames < 40
    np.testing.assert_allclose(probe.times_s, np.arange(probe.num_frames) / 30, atol=1e-6)
    assert f"cut short: {probe.num_frames} of 40 frames are there" in probe.lost


def test_a_missing_file_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="no such file"):
        probe_video(str(tmp_path / "gone.mp4"), "gone.mp4")
