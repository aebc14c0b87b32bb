"""Depth files: encodings, what is no depth, and the golden values of Virtual KITTI."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datasets.pictures import read_depths, read_npy_depth, read_png16, zero_where_invalid
from pipeline.errors import DataError


def write_png(path: Path, values: np.ndarray) -> str:
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())
    return str(path)


def test_sixteen_bits_come_back_untouched(tmp_path) -> None:
    values = np.array([[0, 1, 255], [256, 40000, 65535]], np.uint16)
    np.testing.assert_array_equal(read_png16(write_png(tmp_path / "a.png", values)), values)


@pytest.mark.parametrize("values", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 3), np.uint16)])
def test_other_pngs_are_errors(tmp_path, values) -> None:
    with pytest.raises(DataError, match=r"a\.png: uint(8|16)\[2, 3.*, expected a PNG of one channel with 16 bits"):
        read_png16(write_png(tmp_path / "a.png", values))


def test_an_empty_file_and_a_missing_one_are_errors(tmp_path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match="what does not decode"):
        read_png16(str(tmp_path / "a.png"))
    with pytest.raises(DataError, match=r"b\.png: there is no such file"):
        read_png16(str(tmp_path / "b.png"))


def test_arrays_must_hold_plain_floats(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1.5, np.inf]]))
    depth = read_npy_depth(str(tmp_path / "a.npy"))
    assert depth.tolist() == [[1.5, np.inf]]
    assert depth.dtype == np.float32
    np.save(tmp_path / "b.npy", np.zeros((2, 2), np.int32))
    with pytest.raises(DataError, match=r"b\.npy: int32\[2, 2\], expected floats"):
        read_npy_depth(str(tmp_path / "b.npy"))
    np.save(tmp_path / "c.npy", np.array([[None]]))
    with pytest.raises(DataError, match=r"c\.npy: \d+ bytes that are no NumPy array"):
        read_npy_depth(str(tmp_path / "c.npy"))


def test_depths_of_one_clip_have_one_size(tmp_path) -> None:
    uris = [write_png(tmp_path / f"{size}.png", np.ones((2, size), np.uint16)) for size in (3, 4)]
    assert read_depths(uris[:1], read_png16).shape == (1, 2, 3)
    with pytest.raises(DataError, match=r"4\.png: depth of 4x2 pixels, expected 3x2"):
        read_depths(uris, read_png16)
    with pytest.raises(DataError, match=r"3\.png: depth of 3x2 pixels, expected 6x4"):
        read_depths(uris[:1], read_png16, size=(4, 6))


def test_there_is_one_mark_of_invalid_depth() -> None:
    assert zero_where_invalid(np.array([2.0, 0, -1, np.nan, np.inf, -np.inf])).tolist() == [2, 0, 0, 0, 0, 0]
