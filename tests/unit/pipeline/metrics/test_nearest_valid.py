import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.metrics.scene_flow import nearest_valid_pixels


def test_each_cell_takes_its_middle_pixel() -> None:
    # 6 x 6 pixels, 2 x 2 cells of 3 x 3: the middles are (1, 1), (1, 4), (4, 1), (4, 4)
    np.testing.assert_array_equal(nearest_valid_pixels(np.ones((6, 6), bool), grid=(2, 2)), [7, 10, 25, 28])


def test_where_the_middle_is_not_valid_the_nearest_valid_pixel_of_the_cell_stands_in() -> None:
    valid = np.ones((6, 6), bool)
    valid[1, 1] = valid[0, 1] = False  # the middle and the pixel above it: next comes the one to the left
    valid[0:3, 3:6] = False  # a cell without any
    np.testing.assert_array_equal(nearest_valid_pixels(valid, grid=(2, 2)), [6, 25, 28])


def test_as_many_cells_as_pixels_give_all_valid_pixels() -> None:
    valid = np.random.default_rng(0).random((5, 7)) < 0.5
    np.testing.assert_array_equal(nearest_valid_pixels(valid, grid=(5, 7)), np.flatnonzero(valid))


def test_more_cells_than_pixels_repeat_pixels() -> None:
    pixels = nearest_valid_pixels(np.ones((2, 2), bool), grid=(4, 4))
    np.testing.assert_array_equal(np.unique(pixels, return_counts=True), [[0, 1, 2, 3], [4, 4, 4, 4]])


def test_an_image_without_a_valid_pixel_gives_none() -> None:
    assert nearest_valid_pixels(np.zeros((4, 4), bool), grid=(2, 2)).shape == (0,)


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected bool\[H, W\]"):
        nearest_valid_pixels(np.zeros((4, 4)), grid=(2, 2))
    with pytest.raises(DataError, match="positive"):
        nearest_valid_pixels(np.zeros((4, 4), bool), grid=(0, 2))
