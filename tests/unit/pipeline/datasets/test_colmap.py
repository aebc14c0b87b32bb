import cv2
import numpy as np
import pytest

from pipeline.datasets.colmap import FisheyeCamera, read_cameras, read_images
from pipeline.errors import DataError


def camera(*lens: float) -> FisheyeCamera:
    return FisheyeCamera(size=(100, 200), focal=np.array([90.0, 95]), centre=np.array([101.0, 49]), lens=np.array(lens))


def test_a_lens_without_tangential_terms_is_that_of_opencv():
    points = np.random.default_rng(0).uniform(-1.2, 1.2, (50, 2))
    lens = camera(-0.03, 0.02, 0, 0, -0.004, 0.001, 0, 0)
    matrix = np.array([[90.0, 0, 101], [0, 95, 49], [0, 0, 1]])
    expected = cv2.fisheye.distortPoints(points[:, None], matrix, np.array([-0.03, 0.02, -0.004, 0.001]))[:, 0]
    np.testing.assert_allclose(lens.distort(points), expected, atol=1e-9)


def test_tangential_and_thin_prism_terms_move_points_as_the_model_says():
    x = np.tan(0.5)  # an angle of 0.5 along x
    np.testing.assert_allclose(camera(0, 0, 0.01, 0, 0, 0, 0, 0).distort(np.array([x, 0])), [101 + 90 * 0.5, 49 + 95 * 0.01 * 0.25])
    np.testing.assert_allclose(camera(0, 0, 0, 0.01, 0, 0, 0, 0).distort(np.array([x, 0])), [101 + 90 * (0.5 + 0.01 * 3 * 0.25), 49])
    np.testing.assert_allclose(camera(0, 0, 0, 0, 0, 0, 0.1, 0.2).distort(np.array([x, 0])), [101 + 90 * (0.5 + 0.025), 49 + 95 * 0.05])
    np.testing.assert_allclose(camera(*[0.3] * 8).distort(np.zeros(2)), [101, 49])


@pytest.mark.parametrize(
    "line", ["0 PINHOLE 10 20 1 1 5 10", "0 THIN_PRISM_FISHEYE 10 20 1 1 5 10 0 0", "0 THIN_PRISM_FISHEYE ten 20", "0"]
)
def test_other_cameras_are_errors(tmp_path, line):
    (tmp_path / "cameras.txt").write_text(f"# comment\n{line}\n")
    with pytest.raises(DataError, match=r"cameras\.txt: a line is no THIN_PRISM_FISHEYE camera"):
        read_cameras(str(tmp_path / "cameras.txt"))


def test_a_line_that_is_no_image_is_an_error(tmp_path):
    (tmp_path / "images.txt").write_text("1 1 0 0 zero 0 0 0 0 a.JPG\n")
    with pytest.raises(DataError, match=r"images\.txt: a line is no image"):
        read_images(str(tmp_path / "images.txt"))
