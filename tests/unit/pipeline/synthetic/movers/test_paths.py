import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.synthetic.motions import Course, GroundPath


def test_a_straight_course_passes_its_place_at_its_time() -> None:
    course = Course(through=(2.0, 1.0), at_s=1.0, heading=np.pi / 2, speed_m_s=3.0)
    np.testing.assert_allclose(course.places_at(np.array([0.0, 1.0, 3.0])), [[2, -2], [2, 1], [2, 7]], atol=1e-12)


def test_a_turning_course_is_an_arc_of_a_circle() -> None:
    # 2 m/s at 1 rad/s: radius 2. From (2, 0), heading along y, the circle is about the origin
    course = Course(through=(2.0, 0.0), at_s=0.0, heading=np.pi / 2, speed_m_s=2.0, turn_rad_s=1.0)
    times = np.array([0.0, np.pi / 2, np.pi])
    np.testing.assert_allclose(course.places_at(times), [[2, 0], [0, 2], [-2, 0]], atol=1e-12)
    np.testing.assert_allclose(course.headings_at(times), np.pi / 2 + times)


def test_poses_look_along_the_way_and_stand_upright() -> None:
    times = np.array([0.0, 1.0])
    places = np.array([[0.0, 0, 0.5], [0, 2, 0.7]])
    path = GroundPath(times_s=times, places=places, headings=np.full(2, np.pi / 2), along_m=2 * times)
    poses = path.poses(lift_m=np.array([1.0, 2.0]))
    np.testing.assert_allclose(poses[:, :3, 0], [[0, 1, 0]] * 2, atol=1e-12)
    np.testing.assert_allclose(poses[:, :3, 2], [[0, 0, 1]] * 2)
    np.testing.assert_allclose(poses[:, :3, 3], [[0, 0, 1.5], [0, 2, 2.7]])
    with pytest.raises(DataError, match="headings"):
        GroundPath(times_s=times, places=places, headings=np.zeros(3), along_m=times)
