import cv2
import numpy as np
import pytest

from pipeline.records.pixel_transforms import Crop, framing_of, resize_intrinsics, resize_nearest, resize_points


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


@pytest.mark.parametrize(
    ("stored", "size", "fit", "scaled", "corner", "picture"),
    [
        ((360, 640), (288, 512), "crop", (288, 512), (0, 0), (0, 0, 512, 288)),
        ((640, 360), (288, 512), "crop", (910, 512), (0, 311), (0, 0, 512, 288)),  # 640 x 512 / 360 = 910.2
        ((640, 360), (288, 512), "pad", (288, 162), (-175, 0), (175, 0, 162, 288)),
        ((360, 640), (512, 288), "pad", (162, 288), (0, -175), (0, 175, 288, 162)),
        ((360, 640), (512, 288), "stretch", (512, 288), (0, 0), (0, 0, 288, 512)),
        ((47, 63), (31, 45), "crop", (34, 45), (0, 1), (0, 0, 45, 31)),  # 33.6 rows: of the 3 that are too many one goes above
        ((47, 63), (31, 45), "pad", (31, 42), (-1, 0), (1, 0, 42, 31)),  # 41.6 columns, one of the 3 that lack to the left
        ((2, 1000), (8, 8), "pad", (1, 8), (0, -3), (0, 3, 8, 1)),  # never less than a pixel
    ],
)
def test_the_way_of_an_image_to_a_size_by_hand(stored, size, fit, scaled, corner, picture):
    framing = framing_of(stored, size, fit)
    left, top, width, height = picture
    assert framing.scaled == scaled
    assert framing.rectangle == Crop(left=corner[0], top=corner[1], width=size[1], height=size[0])
    assert framing.picture == Crop(left=left, top=top, width=width, height=height)
    assert framing.is_whole == (scaled == size)
