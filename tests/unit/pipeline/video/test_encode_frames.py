import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipRecord
from pipeline.video.colour import BT601, LIMITED, Colour
from pipeline.video.encode import EncodePolicy, encode_frames
from pipeline.video.images import decode_image
from pipeline.video.probe import probe_video
from pipeline.video.reader import decode_clip, read_clip_frames


def frames(num_frames: int = 10, height: int = 32, width: int = 48) -> np.ndarray:
    shade = np.linspace(0, 200, width) + 5 * np.arange(num_frames)[:, None, None]
    return np.repeat(np.broadcast_to(shade, (num_frames, height, width))[..., None], 3, axis=-1).astype(np.uint8)


def record_of(times: np.ndarray) -> ClipRecord:
    fields = {"key": "a", "source": "a", "source_id": "a", "split": "train", "codec": "h264", "video": "h264", "sha256": ""}
    return ClipRecord(**fields, start_s=0, end_s=9, fps=1, frames=len(times), width=48, height=32, timestamps=tuple(times.tolist()))


def test_every_frame_comes_back_at_its_time():
    times = np.array([0, 0.1, 0.2, 0.35, 0.4, 0.5, 0.7, 0.75, 0.8, 1.0])  # uneven, as a sensor's clock
    data = encode_frames(frames(), times, EncodePolicy(quality=12))
    decoded = read_clip_frames(data, record_of(times))
    assert np.abs(decoded.astype(int) - frames()).max() < 12
    assert len(list(decode_clip(data, record_of(times)))) == 10  # which checks every time against the record


def test_equal_frames_are_equal_bytes():
    times = np.arange(10) / 30
    assert encode_frames(frames(), times, EncodePolicy()) == encode_frames(frames(), times, EncodePolicy())


def test_odd_sides_and_times_that_stand_still_are_refused():
    with pytest.raises(DataError, match="47x32: sides must be even"):
        encode_frames(frames(width=47), np.arange(10) / 30, EncodePolicy())
    with pytest.raises(DataError, match="times increase"):
        encode_frames(frames(), np.zeros(10), EncodePolicy())


def test_what_is_no_image_is_named():
    with pytest.raises(DataError, match="frame 3: 5 bytes that are no readable image"):
        decode_image(b"hello", "frame 3")
    with pytest.raises(DataError, match="0 bytes"):
        decode_image(b"", "frame 3")


def test_a_clip_with_a_missing_image_is_refused():
    with pytest.raises(DataError, match="9 image files for 10 frames"):
        read_clip_frames((b"",) * 9, record_of(np.arange(10) / 30))


def test_the_colours_are_tagged_as_they_are_converted():
    colours = np.broadcast_to(np.array([200, 60, 40], np.uint8), (10, 32, 48, 3))
    data = encode_frames(colours, np.arange(10) / 30, EncodePolicy())
    assert probe_video(data, "clip").picture.colour == Colour(matrix=BT601, range=LIMITED)
    assert np.abs(read_clip_frames(data, record_of(np.arange(10) / 30)).astype(int) - colours).max() <= 4
