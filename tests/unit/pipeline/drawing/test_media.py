import av
import cv2
import numpy as np
import pytest

from pipeline.drawing import ANIMATION_SUFFIXES, write_animation, write_image
from pipeline.drawing.media import MAX_LOSSY_BYTES
from pipeline.errors import ConfigError, DataError


def ramps(num_frames: int = 7, height: int = 40, width: int = 60) -> np.ndarray:
    """Smooth frames that get brighter, redder to the right and greener downwards."""
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    frames[..., 0] = np.linspace(20, 200, width)
    frames[..., 1] = np.linspace(20, 200, height)[:, None]
    frames[..., 2] = (np.arange(num_frames) * 30)[:, None, None]
    return frames


def decoded(path) -> np.ndarray:
    """Frames by other code than ours: OpenCV for the animated images, PyAV for video."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    read, animation = cv2.imreadanimation(str(path))
    assert read
    return np.stack([cv2.cvtColor(np.asarray(frame)[..., :3], cv2.COLOR_BGR2RGB) for frame in animation.frames])


@pytest.mark.parametrize("suffix", ANIMATION_SUFFIXES)
def test_an_animation_decodes_to_the_same_frames(tmp_path, suffix):
    path = tmp_path / f"show{suffix}"
    write_animation(str(path), ramps(), 24)
    found = decoded(path).astype(int)
    assert found.shape == (7, 40, 60, 3)
    assert np.abs(found - ramps()).mean() < (10 if suffix == ".gif" else 6)  # a GIF has 256 colours
    assert (np.diff(found[..., 2].mean(axis=(1, 2))) > 0).all()  # in order


@pytest.mark.parametrize("suffix", ANIMATION_SUFFIXES)
def test_equal_frames_give_equal_bytes(tmp_path, suffix):
    path, found = tmp_path / f"again{suffix}", set()
    for _ in range(12):  # x264's default gave other bytes about every tenth time at this size
        write_animation(str(path), ramps(), 12.5)
        found.add(path.read_bytes())
    assert len(found) == 1


def test_video_has_the_rate_asked_for_and_an_even_size(tmp_path):
    path = tmp_path / "show.mp4"
    write_animation(str(path), ramps(10, 41, 59), 30000 / 1001)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt, stream.codec_context.name) == (60, 42, "yuv420p", "h264")
        assert float(stream.average_rate) == pytest.approx(30000 / 1001, rel=1e-3)
    assert np.abs(decoded(path)[:, :41, :59].astype(int) - ramps(10, 41, 59)).mean() < 6


@pytest.mark.parametrize("suffix", ANIMATION_SUFFIXES)
def test_a_single_frame_will_do(tmp_path, suffix):
    write_animation(str(tmp_path / f"one{suffix}"), ramps(1), 10)
    assert (tmp_path / f"one{suffix}").stat().st_size > 0


def test_a_png_comes_back_pixel_by_pixel(tmp_path):
    write_image(str(tmp_path / "sheet.PNG"), ramps()[3])
    np.testing.assert_array_equal(cv2.cvtColor(cv2.imread(str(tmp_path / "sheet.PNG")), cv2.COLOR_BGR2RGB), ramps()[3])


@pytest.mark.parametrize(("suffix", "magic"), [(".webp", b"RIFF"), (".jpg", b"\xff\xd8"), (".JPEG", b"\xff\xd8")])
def test_webp_and_jpeg_look_the_same(tmp_path, suffix, magic):
    path = tmp_path / f"sheet{suffix}"
    write_image(str(path), ramps()[3])
    assert path.read_bytes().startswith(magic)
    found = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert found.shape == ramps()[3].shape
    assert np.abs(found.astype(int) - ramps()[3]).mean() < 4


@pytest.mark.parametrize("suffix", [".webp", ".jpg"])
def test_a_picture_full_of_detail_is_written_below_a_megabyte(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (960, 960, 3)).astype(np.uint8)
    path = tmp_path / f"sheet{suffix}"
    write_image(str(path), noise)
    assert len(cv2.imencode(suffix, noise)[1]) > MAX_LOSSY_BYTES  # as OpenCV would write it
    assert 300_000 < path.stat().st_size <= MAX_LOSSY_BYTES
    assert cv2.imread(str(path)).shape == noise.shape


def test_a_side_that_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"8 x 16384 pixels; \.webp holds at most 16,383 a side: write it as \.png"):
        write_image(str(tmp_path / "sheet.webp"), np.zeros((16_384, 8, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_other_suffixes_list_those_that_work(tmp_path):
    with pytest.raises(ConfigError, match=r"show\.avi: .*\.mp4, \.gif, \.webp, \.apng"):
        write_animation(str(tmp_path / "show.avi"), ramps(), 24)
    with pytest.raises(ConfigError, match=r"sheet\.bmp: an image is written as one of \.png, \.webp, \.jpg"):
        write_image(str(tmp_path / "sheet.bmp"), ramps()[0])
    assert not list(tmp_path.iterdir())


def test_no_frames_or_no_rate_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least one"):
        write_animation(str(tmp_path / "show.mp4"), ramps()[:0], 24)
    with pytest.raises(ConfigError, match="0 frames per second"):
        write_animation(str(tmp_path / "show.mp4"), ramps(), 0)
    with pytest.raises(DataError, match="frames is float64"):
        write_animation(str(tmp_path / "show.mp4"), ramps().astype(float), 24)
