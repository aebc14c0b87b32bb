import cv2
import numpy as np

from labelers.queries import sift_points


def blots() -> np.ndarray:
    """Six soft round blots at known places on grey: uint8 (120, 160, 3)."""
    image = np.full((120, 160, 3), 100, np.uint8)
    for x in (40, 80, 120):
        for y in (40, 80):
            cv2.circle(image, (x, y), 6, (220, 220, 220), -1)
    return cv2.GaussianBlur(image, (0, 0), 2)


def test_keypoints_lie_on_the_blots():
    points = sift_points(blots(), 6, np.random.default_rng(0), allowed=np.ones((120, 160), bool))
    centres = np.array([(x, y) for x in (40, 80, 120) for y in (40, 80)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).min(axis=1)
    assert len(points) == 6
    assert (nearest < 12).all()
    assert len(np.unique(points, axis=0)) == 6


def test_a_flat_image_has_none():
    flat = np.full((60, 60, 3), 9, np.uint8)
    assert sift_points(flat, 8, np.random.default_rng(0), allowed=np.ones((60, 60), bool)).shape == (0, 2)


def test_only_allowed_places_count():
    allowed = np.zeros((120, 160), bool)
    allowed[:, 100:] = True
    points = sift_points(blots(), 100, np.random.default_rng(0), allowed=allowed)
    assert len(points)
    assert (points[:, 0] >= 99.5).all()
