"""The picture from above: right is right, up is ahead of the first camera, wherever that stands."""

import numpy as np

from pipeline.drawing import TrackColours
from pipeline.drawing.from_above import tracks_from_above

RED, BLUE = (255, 0, 0), (0, 0, 255)
SIZE = (300, 400)


def drawn(cameras, points):
    """Two tracks of two frames: the first red, the second blue and hidden in its second frame."""
    colours = TrackColours(table=np.array([RED, BLUE], np.uint8), entries=np.array([0, 1]))
    return tracks_from_above(points.astype(np.float32), np.array([[True, True], [True, False]]), colours, cameras, size=SIZE)


def places(picture, colour):
    """(row, column) of the pixels that are nearer to a colour than half of the way from the ground."""
    return np.argwhere(np.abs(picture.astype(int) - colour).sum(-1) < 200)


def test_tracks_lie_right_and_ahead_of_the_first_camera_wherever_the_world_begins():
    ahead = np.array([[[-1, 0, 4], [1, 0, 2]], [[-1, 0, 5], [9, 9, 9]]], np.float64)  # "K M 3" in the first camera
    straight = drawn(np.tile(np.eye(4), (2, 1, 1)), ahead)
    turned = np.array([[0, 0, 1, 3], [0, 1, 0, -2], [-1, 0, 0, 7], [0, 0, 0, 1]], np.float64)
    same = drawn(np.tile(turned, (2, 1, 1)), ahead @ turned[:3, :3].T + turned[:3, 3])
    np.testing.assert_array_equal(straight, same)
    red, blue = places(straight, RED), places(straight, BLUE)
    assert red[:, 1].max() < blue[:, 1].min()
    assert red[:, 0].max() < blue[:, 0].min()  # rows count down: farther is higher
    height = red[:, 0].max() - red[:, 0].min()
    apart = blue[:, 1].mean() - red[:, 1].mean()
    assert abs(apart / height - 2) < 0.25  # 2 units to the right, 1 ahead, of one scale
    assert len(blue) < 20  # a dot: hidden places are not drawn


def test_a_camera_alone_is_a_picture_too():
    way = np.tile(np.eye(4), (3, 1, 1))
    way[:, 0, 3] = [0, 1, 2]
    nothing = TrackColours(table=np.array([RED], np.uint8), entries=np.zeros(0, int))
    picture = tracks_from_above(np.zeros((3, 0, 3), np.float32), np.zeros((3, 0), bool), nothing, way, size=SIZE)
    white = places(picture, (245, 245, 248))
    assert white[:, 1].max() - white[:, 1].min() > 0.8 * (SIZE[1] - 32)
