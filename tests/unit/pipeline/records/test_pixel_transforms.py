import cv2
import numpy as np

from pipeline.records.pixel_transforms import resize_intrinsics, resize_nearest, resize_points


def test_points_keep_to_their_pixels_with_an_own_scale_per_axis():
    # 10x20 (H x W) to 30x10: x by 1/2, y by 3. The image's edges and its centre stay where they are in the picture.
    points = np.array([[-0.5, -0.5], [19.5, 9.5], [9.5, 4.5], [3.0, 2.0]])
    moved = resize_points(points, (10, 20), (30, 10))
    assert moved.dtype == "float32"
    np.testing.assert_allclose(moved, [[-0.5, -0.5], [9.5, 29.5], [4.5, 14.5], [1.25, 7.0]])


def test_a_point_of_the_scene_projects_to_the_resized_pixel():
    intrinsics = np.array([[[30.0, 0.5, 15.5], [0, 20, 11.5], [0, 0, 1]]])
    ray = np.array([0.3, -0.2, 1.0])
    before, after = (intrinsics @ ray)[0, :2], (resize_intrinsics(intrinsics, (24, 32), (36, 16)) @ ray)[0, :2]
    np.testing.assert_allclose(after, resize_points(before, (24, 32), (36, 16)), atol=1e-5)
    # by hand: fx 30/2, cx (15.5 + 0.5)/2 - 0.5, fy 20*1.5, cy (11.5 + 0.5)*1.5 - 0.5
    np.testing.assert_allclose(resize_intrinsics(intrinsics, (24, 32), (36, 16))[0], [[15, 0.25, 7.5], [0, 30, 17.5], [0, 0, 1]])
    assert intrinsics[0, 0, 0] == 30  # the input is untouched


def test_depth_and_masks_take_the_pixel_under_the_new_centre():
    maps = np.arange(6, dtype=np.float32).reshape(1, 1, 6)
    assert resize_nearest(maps, (1, 3)).tolist() == [[[1, 3, 5]]]  # centres fall on the edges 0.5, 2.5, 4.5 of pixels: the right one
    assert resize_nearest(maps, (2, 2)).tolist() == [[[1, 4], [1, 4]]]
    assert resize_nearest(maps[:, :, :2], (1, 4)).tolist() == [[[0, 0, 1, 1]]]


def test_nearest_agrees_with_opencvs_exact_kind():
    maps = np.random.default_rng(0).random((1, 37, 53), np.float32)
    for height, width in ((20, 90), (37, 11), (74, 53)):
        expected = cv2.resize(maps[0], (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        assert (resize_nearest(maps, (height, width))[0] == expected).all()
