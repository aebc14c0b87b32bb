import numpy as np
import pytest

from labelers.queries import grid_points, random_points


def test_a_square_number_on_a_square_image_lies_in_the_middle_of_square_cells():
    # 8 pixels cover [-0.5, 7.5]: two cells of 4, with centres at 1.5 and 5.5
    np.testing.assert_array_equal(grid_points((8, 8), 4), [[1.5, 1.5], [5.5, 1.5], [1.5, 5.5], [5.5, 5.5]])


def test_rows_and_columns_follow_the_aspect_ratio():
    points = grid_points((100, 400), 64)
    assert [len(np.unique(points[:, axis])) for axis in (0, 1)] == [16, 4]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 17, 100, 256, 1024])
@pytest.mark.parametrize("shape", [(288, 512), (512, 288), (240, 320), (9, 1000)])
def test_there_are_exactly_as_many_as_asked_each_row_symmetric_about_the_middle(shape, count):
    points = grid_points(shape, count)
    assert points.shape == (count, 2)
    assert points.dtype == np.float32
    for row in np.unique(points[:, 1]):
        x = points[points[:, 1] == row, 0]
        np.testing.assert_allclose(x + x[::-1], shape[1] - 1, rtol=1e-5)
    y = np.unique(points[:, 1])
    np.testing.assert_allclose(y + y[::-1], shape[0] - 1, rtol=1e-5)
    lengths = np.unique(points[:, 1], return_counts=True)[1]
    assert lengths.max() - lengths.min() <= 1


def test_no_place_is_farther_from_a_point_than_a_cell_s_diagonal():
    points = grid_points((90, 160), 50)
    y, x = np.mgrid[:90, :160]
    nearest = np.min(np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]), axis=2)
    assert nearest.max() < np.sqrt(90 * 160 / 50)


def test_a_margin_stays_free():
    points = grid_points((100, 100), 400, margin_px=20)
    assert points.min() > 19.5
    assert points.max() < 79.5
    drawn = random_points((100, 100), 400, np.random.default_rng(0), margin_px=20)
    assert drawn.min() >= 19.5
    assert drawn.max() <= 79.5


def test_random_points_fill_the_image_to_its_very_border():
    points = random_points((4, 10), 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(points.min(axis=0), [-0.5, -0.5], atol=0.01)
    np.testing.assert_allclose(points.max(axis=0), [9.5, 3.5], atol=0.01)
    np.testing.assert_allclose(points.mean(axis=0), [4.5, 1.5], atol=0.1)
