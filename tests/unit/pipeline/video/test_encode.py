"""Re-encoded clips: the same frames by index and time, at the training size, upright."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span
from pipeline.video.probe import probe_video


def similarity_db(shown: np.ndarray, expected: np.ndarray) -> float:
    """Peak signal-to-noise ratio."""
    return 10 * np.log10(255**2 / np.mean((shown.astype(float) - expected) ** 2))


@pytest.mark.parametrize(
    "options", [{"form": "h264-open-gop"}, {"form": "h264-b-frames", "rotation": 90}, {"form": "hevc-open-gop", "name": "a.mkv"}]
)
def test_frame_i_is_the_source_frame_i(options, make_video, play_with_opencv):
    path = make_video(num_frames=60, size=(120, 200), **options)
    source, probe = play_with_opencv(path), probe_video(str(path), path.name)
    spans = [Span(0, 20), Span(15, 30), Span(50, 10)]
    for position, data in encode_spans(str(path), path.name, probe, spans, EncodePolicy(long_side=100, quality=8)):
        shown, span = play_with_opencv(data), spans[position]
        width, height = EncodePolicy(long_side=100).size(probe.width, probe.height)
        assert shown.shape == (span.count, height, width, 3)
        assert max(height, width) == 100
        for index, frame in enumerate(shown):
            candidates = [similarity_db(frame, cv2.resize(source[at], (width, height), interpolation=cv2.INTER_AREA)) for at in range(60)]
            assert int(np.argmax(candidates)) == span.first + index
            assert max(candidates) > 25


def test_variable_timestamps_survive(make_video):
    ticks = (1000 * np.cumsum([3, 3, 9, 1, 7, 3, 3, 3, 12, 5] * 2)).tolist()
    path = make_video(num_frames=20, ticks=ticks, time_base=Fraction(1, 90_000))
    probe = probe_video(str(path), path.name)
    ((_, data),) = encode_spans(str(path), path.name, probe, [Span(4, 12)], EncodePolicy())
    again = probe_video(data, "clip")
    np.testing.assert_allclose(again.times_s, probe.times_s[4:16] - probe.times_s[4], atol=2e-4)


def test_a_small_video_is_not_enlarged_and_sides_are_even():
    assert EncodePolicy(long_side=512).size(321, 181) == (320, 180)
    assert EncodePolicy(long_side=512).size(1280, 720) == (512, 288)
    assert EncodePolicy(long_side=512).size(368, 480) == (368, 480)


def test_the_same_span_is_the_same_bytes(make_video):
    path = make_video(num_frames=30)
    probe = probe_video(str(path), path.name)
    first, second = (list(encode_spans(str(path), path.name, probe, [Span(3, 20)], EncodePolicy()))[0][1] for _ in range(2))
    assert first == second


def test_a_damaged_stretch_costs_only_the_clips_that_need_it(make_video, tmp_path):
    path = make_video(num_frames=60, size=(120, 200))
    probe = probe_video(str(path), path.name)
    data = bytearray(path.read_bytes())
    start = len(data) * 55 // 100
    data[start : start + 1200] = bytes(1200)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data)
    spans = [Span(0, 12), Span(24, 12), Span(48, 12)]
    results = dict(encode_spans(str(bad), bad.name, probe, spans, EncodePolicy()))
    assert isinstance(results[0], bytes)
    assert any(isinstance(result, DataError) and "bad.mp4" in str(result) for result in results.values())


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="--long-side"):
        EncodePolicy(long_side=4)


def test_a_pixel_format_that_cannot_be_converted_is_named_with_the_remedy(tmp_path):
    path = tmp_path / "a.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb4"  # libswscale writes it, but does not read it
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24").reformat(format="rgb4")
        for index in range(4):
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
    probe = probe_video(str(path), path.name)
    with pytest.raises(DataError, match="a.nut: its rgb4 pictures cannot be converted.*-pix_fmt yuv420p"):
        list(encode_spans(str(path), path.name, probe, [Span(0, 4)], EncodePolicy()))


def test_every_reader_counts_the_frames_of_an_encoded_clip_alike(make_video, play_with_pyav, play_with_opencv):
    path = make_video(num_frames=40, form="h264-open-gop")
    probe = probe_video(str(path), path.name)
    ((_, data),) = encode_spans(str(path), path.name, probe, [Span(5, 24)], EncodePolicy())
    assert b"elst" not in data
    assert len(play_with_pyav(data)) == len(play_with_opencv(data)) == 24
    again = probe_video(data, "clip")
    assert (again.pts[0], again.stream, again.order.whole(Span(0, 24))) == (0, 0, True)
    assert [again.lead_in(index) for index in (0, 12, 23)] == [0, 0, 11]
