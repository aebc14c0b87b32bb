import numpy as np
import pytest

from pipeline.audit.tracks.appearance import PATCH, cut_patches


def spot(x, y):
    image = np.zeros((40, 50), np.uint8)
    image[y, x] = 255
    return image


def brightest(image, point):
    row, column = divmod(int(cut_patches(image, np.array([point])).values[0].argmax()), PATCH)
    return column - PATCH // 2, row - PATCH // 2


def test_the_point_is_in_the_middle_of_its_patch_and_x_runs_to_the_right():
    assert brightest(spot(20, 12), (20.0, 12.0)) == (0, 0)
    assert brightest(spot(20, 12), (17.0, 11.0)) == (3, 1)


def test_between_pixels_the_patch_is_bilinear():
    values = cut_patches(spot(20, 12), np.array([[19.5, 12.0]])).values.reshape(PATCH, PATCH)
    assert values[7, 7] == pytest.approx(values[7, 8])  # half of the spot's light on each side
    assert values[7, 7] > 5 > values[7, 6]


def test_beyond_the_image_its_border_is_repeated():
    image = np.repeat(np.arange(50, dtype=np.uint8)[None] * 4, 40, axis=0)
    far, farther = cut_patches(image, np.array([[90.0, 20.0], [9e6, 20.0]])).values
    assert not far.any()
    np.testing.assert_array_equal(far, farther)


def test_patches_have_mean_0_and_deviation_1_and_flat_ones_are_known():
    noise = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)
    patches = cut_patches(noise, np.array([[20.0, 20.0], [25.3, 21.7]]))
    np.testing.assert_allclose(patches.values.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(patches.values.std(axis=1), 1, atol=1e-5)
    assert patches.textured.all()
    assert not cut_patches(noise // 64, np.array([[20.0, 20.0]])).textured.any()  # grey levels 0 to 3
