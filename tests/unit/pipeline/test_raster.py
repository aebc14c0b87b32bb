import numpy as np

from pipeline.metrics.tapvid_counts import length_from_raster, length_to_raster, to_raster


def test_the_corners_of_the_image_are_the_corners_of_the_raster():
    corners = np.array([[[-0.5, -0.5], [511.5, 287.5]]])
    np.testing.assert_allclose(to_raster(corners, 288, 512), [[[-0.5, -0.5], [255.5, 255.5]]])


def test_a_pixel_centre_moves_with_the_scale_about_the_images_corner():
    np.testing.assert_allclose(to_raster(np.array([[[0.0, 0.0]]]), 128, 512), [[[-0.25, 0.5]]])  # scales 0.5 and 2


def test_a_length_is_scaled_by_the_mean_of_both_scales():
    np.testing.assert_allclose(length_to_raster(np.array([3.0, np.nan]), 128, 512), [3.0, np.nan])  # sqrt(0.5 * 2) = 1


def test_a_length_comes_back_from_the_raster():
    np.testing.assert_allclose(length_from_raster(np.array([1.0, np.nan]), 288, 512), [1.5, np.nan])  # sqrt(288 * 512) / 256
    np.testing.assert_allclose(length_to_raster(length_from_raster(np.array([7.0]), 480, 854), 480, 854), [7.0])
