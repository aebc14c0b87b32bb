"""Image files of a clip."""

import cv2
import numpy as np
import pytest

from pipeline.datasets.pictures import decode_pictures, image_suffix, png_files, read_pictures, read_room_depth
from pipeline.errors import DataError
from pipeline.video.images import decode_image


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def test_colours_come_in_the_order_red_green_blue(tmp_path) -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[..., 0] = 255
    (tmp_path / "a.png").write_bytes(png(picture))
    pictures = read_pictures([str(tmp_path / "a.png")], keep_files=True)
    np.testing.assert_array_equal(pictures.frames[0], picture)
    assert pictures.images == (png(picture),)
    assert pictures.original_size == (2, 3)


def test_shrinking_averages_pixels_and_shifts_nothing() -> None:
    picture = np.repeat(np.array([[0, 100, 40, 60]], np.uint8)[..., None], 3, axis=2)
    pictures = decode_pictures([png(picture)], names=["a"], size=(1, 2))
    assert pictures.frames[0, 0, :, 0].tolist() == [50, 50]
    assert pictures.original_size == (1, 4)


def test_other_sizes_and_broken_files_are_named() -> None:
    small, large = png(np.zeros((2, 2, 3), np.uint8)), png(np.zeros((2, 4, 3), np.uint8))
    with pytest.raises(DataError, match="b: 4x2 pixels, expected 2x2 as a"):
        decode_pictures([small, large], names=["a", "b"])
    for data in (b"", small[:30]):
        with pytest.raises(DataError, match=f"c: {len(data)} bytes that are no readable image"):
            decode_image(data, "c")


def test_pictures_that_are_no_files_of_the_source_are_stored_without_loss() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 5, 7, 3), np.uint8)
    for data, frame in zip(png_files(frames), frames, strict=True):
        np.testing.assert_array_equal(decode_image(data, "png"), frame)


def test_image_files_of_a_clip_are_of_one_kind() -> None:
    assert image_suffix(["a.JPG", "b.jpg"]) == "jpg"
    assert image_suffix(["a.png"]) == "png"
    for uris in (["a.jpg", "b.png"], ["a.bmp"]):
        with pytest.raises(DataError, match=r"a\.\w+: kinds .* of image files in one clip, expected jpg or png"):
            image_suffix(uris)


def test_depth_of_a_room_ends_at_ten_metres(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", np.array([[0, 1, 2500, 10000, 10001, 65535]], np.uint16))[1].tobytes())
    np.testing.assert_allclose(read_room_depth(str(tmp_path / "a.png")), [[0, 0.001, 2.5, 10, 0, 0]])
