import numpy as np

from labelers.queries import corner_points


def half_textured() -> np.ndarray:
    """Noise on the left, flat grey on the right: uint8 (60, 100, 3)."""
    image = np.full((60, 100, 3), 120, np.uint8)
    image[:, :50] = np.random.default_rng(3).integers(0, 255, (60, 50, 1))
    return image


def everywhere() -> np.ndarray:
    return np.ones((60, 100), bool)


def test_points_prefer_texture():
    points = corner_points(half_textured(), 20, np.random.default_rng(0), allowed=everywhere())
    assert len(points) == 20
    assert (points[:, 0] < 54).all()  # the window reaches 3 px over the edge


def test_an_edge_is_no_texture():
    image = np.full((60, 100, 3), 40, np.uint8)
    image[:, 50:] = 200
    image[25:35, 20:30] = 200  # a square: four corners
    points = corner_points(image, 4, np.random.default_rng(0), allowed=everywhere())
    assert (np.abs(points - (24.5, 29.5)).max(axis=1) < 10).all()


def test_points_spread_at_most_one_to_a_cell():
    image = np.random.default_rng(3).integers(115, 125, (60, 100, 3)).astype(np.uint8)
    image[10:30, 10:40] = np.random.default_rng(4).choice([0, 255], (20, 30, 1))  # texture far stronger than elsewhere
    points = corner_points(image, 60, np.random.default_rng(0), allowed=everywhere())
    assert len(np.unique(points, axis=0)) == 60
    strong = ((points >= (10, 10)) & (points < (40, 30))).all(axis=1)
    assert 6 <= strong.sum() < 30  # a tenth of the area, with cells for about a fifth of the points


def test_only_allowed_pixels_are_chosen_and_few_of_them_give_few_points():
    allowed = np.zeros((60, 100), bool)
    allowed[40:42, 70:72] = True
    points = corner_points(half_textured(), 50, np.random.default_rng(0), allowed=allowed)
    assert 0 < len(points) <= 4
    assert set(map(tuple, points)) <= {(70, 40), (71, 40), (70, 41), (71, 41)}
    assert corner_points(half_textured(), 5, np.random.default_rng(0), allowed=np.zeros((60, 100), bool)).shape == (0, 2)


def test_a_flat_image_still_gives_points():
    assert len(corner_points(np.zeros((60, 100, 3), np.uint8), 10, np.random.default_rng(0), allowed=everywhere())) == 10
