import os

import cv2
import numpy as np
import pytest

from pipeline import storage
from pipeline.errors import DataError
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span
from pipeline.video.images import shown_image
from pipeline.video.open import open_video, to_rgb
from pipeline.video.picture_folder import picture_frames, probe_pictures


def picture(index, size=(32, 48)):
    """A grey picture whose level says its index."""
    return np.full((*size, 3), 20 * index, np.uint8)


def write(folder, name, pixels):
    folder.mkdir(exist_ok=True)
    ok, data = cv2.imencode(os.path.splitext(name)[1], pixels)
    assert ok
    (folder / name).write_bytes(data.tobytes())


@pytest.fixture
def folder(tmp_path):
    """12 pictures, frame1.png to frame12.png, whose names sort otherwise than their numbers."""
    for index in range(12):
        write(tmp_path / "seq", f"frame{index + 1}.png", picture(index))
    return tmp_path / "seq"


def seen(data):
    with open_video(data, "clip") as (container, stream):
        return [round(to_rgb(frame).mean() / 20) for frame in container.decode(stream)]


def test_frames_come_in_the_order_of_their_numbers_at_i_over_fps(folder):
    probe = probe_pictures(str(folder), "seq", 29.97)
    assert (probe.codec, probe.num_frames, probe.width, probe.height) == ("pictures", 12, 48, 32)
    np.testing.assert_allclose(probe.times_s, np.arange(12) / 29.97, atol=1e-6)
    found = [(index, int(frame.to_ndarray(format="rgb24").max())) for index, frame in picture_frames(str(folder), "seq", probe, 3)]
    assert found == [(index, 20 * index) for index in range(3, 12)]
    assert probe.notes == ("pictures taken to be 29.97 a second",)


def test_clips_show_their_own_frames_and_a_bad_picture_costs_the_clips_that_hold_it(folder):
    probe = probe_pictures(str(folder), "seq", 10)
    write(folder, "frame5.png", picture(4, (32, 64)))
    (folder / "frame9.png").write_bytes((folder / "frame10.png").read_bytes()[:60])
    spans = [Span(start, 2) for start in range(0, 12, 2)]
    results = dict(encode_spans(str(folder), "seq", probe, spans, EncodePolicy()))
    assert [seen(results[place]) for place in (0, 1, 3, 5)] == [[0, 1], [2, 3], [6, 7], [10, 11]]
    assert "frame5.png (frame 4) is 64x32, the first picture 48x32; bring all to one size" in str(results[2])
    assert "seq: frame9.png: 60 bytes that are no readable picture" in str(results[4])


def test_numbers_in_even_steps_are_noted_and_a_gap_is_refused(folder):
    for number in range(2, 13, 2):
        (folder / f"frame{number}.png").unlink()
    assert probe_pictures(str(folder), "seq", 10).notes[1:] == ("pictures are numbered in steps of 2",)
    (folder / "frame7.png").unlink()
    with pytest.raises(DataError, match=r"seq: pictures are missing between frame5\.png and frame9\.png \(others are 2 apart\)"):
        probe_pictures(str(folder), "seq", 10)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cover.png", "cover.png has no number"),
        ("left1.png", "frame1.png and left1.png are not of one sequence"),
        ("frame01.png", "frame01.png and frame1.png have one number"),
        ("frame1.jpg", "frame1.jpg and frame1.png have one number"),
    ],
)
def test_pictures_of_no_one_sequence_are_refused(folder, name, said):
    write(folder, name, picture(1))
    with pytest.raises(DataError, match=said):
        probe_pictures(str(folder), "seq", 10)


def test_other_and_hidden_files_do_not_count(folder):
    (folder / "notes.txt").write_text("x")
    (folder / "._frame1.png").write_bytes(b"x")
    assert probe_pictures(str(folder), "seq", 10).num_frames == 12


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"])
def test_every_suffix_is_read(tmp_path, suffix):
    write(tmp_path / "s", f"0{suffix}", np.full((16, 16, 3), (40, 60, 200), np.uint8))
    probe = probe_pictures(str(tmp_path / "s"), "s", 10)
    _, frame = next(picture_frames(str(tmp_path / "s"), "s", probe, 0))
    np.testing.assert_allclose(frame.to_ndarray(format="rgb24")[8, 8], [200, 60, 40], atol=3)


def test_an_object_store_is_a_folder_too(folder):
    for path in folder.iterdir():
        storage.publish_bytes(f"memory://pictures/seq/{path.name}", path.read_bytes())
    probe = probe_pictures("memory://pictures/seq", "seq", 10)
    assert [index for index, _ in picture_frames("memory://pictures/seq", "seq", probe, 10)] == [10, 11]


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def test_sixteen_bits_become_eight_and_grey_becomes_three_channels():
    shown = shown_image(png(np.full((2, 2), 257 * 100 + 128, np.uint16)), "p")
    assert shown.pixels.tolist() == [[[100, 100, 100]] * 2] * 2
    assert shown.notes == ("16-bit pictures as 8 bits", "greyscale pictures")
    assert shown_image(png(np.full((2, 2), 257 * 100 + 129, np.uint16)), "p").pixels.max() == 101


def test_what_is_transparent_lies_over_black():
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[...] = (10, 100, 200, 255)  # blue, green, red, alpha
    pixels[0, 1:, 3] = 0, 128
    shown = shown_image(png(pixels), "p")
    assert shown.pixels.tolist() == [[[200, 100, 10], [0, 0, 0], [100, 50, 5]]]
    assert shown.notes == ("transparent pixels over black",)
    pixels[..., 3] = 255
    assert shown_image(png(pixels), "p").notes == ()


def test_orientation_tags_are_obeyed_and_noted():
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:, :16] = 255  # the left half is white
    jpeg = cv2.imencode(".jpg", stored)[1].tobytes()
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\0\0\0\0"  # orientation 6: turn clockwise
    app1 = b"Exif\0\0" + tiff
    shown = shown_image(jpeg[:2] + b"\xff\xe1" + (len(app1) + 2).to_bytes(2, "big") + app1 + jpeg[2:], "p")
    assert shown.pixels.shape == (32, 16, 3)
    assert (shown.pixels[4].min(), shown.pixels[-4].max()) == (255, 0)  # the left is now at the top
    assert shown.notes == ("turned as the orientation tag says",)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_picture_cut_short_is_refused(suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = cv2.imencode(suffix, noise)[1].tobytes()
    with pytest.raises(DataError, match="p: .*(damaged or cut short|cut short)"):
        shown_image(data[: len(data) * 2 // 3], "p")


def test_floating_point_values_are_refused():
    with pytest.raises(DataError, match="holds values of float32, expected 8 or 16 bits"):
        shown_image(cv2.imencode(".tif", np.ones((4, 4, 3), np.float32))[1].tobytes(), "p")
