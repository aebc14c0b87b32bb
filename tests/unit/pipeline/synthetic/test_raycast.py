import sys

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.synthetic.raycast import JointCaster, RayCaster

TRIANGLE = np.array([[0.0, 0, 2], [1, 0, 2], [0, 1, 2]])
FACES = np.array([[0, 1, 2]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distance_is_counted_in_lengths_of_the_direction(dtype: type) -> None:
    directions = np.array([[0, 0, 1], [0, 0, 4], [0, 0, -1], [1, 1, 0]], dtype)
    hits = RayCaster(TRIANGLE, FACES).first_hits(np.array([0.2, 0.2, 0], dtype), directions)
    np.testing.assert_array_equal(hits.face, [0, 0, -1, -1])
    np.testing.assert_allclose(hits.distance, [2, 0.5, np.inf, np.inf], rtol=1e-6)
    assert hits.distance.dtype == dtype


def test_distance_is_that_of_the_plane_in_double_precision() -> None:
    slanted = np.array([[0.0, 0, 1], [1, 0, 2], [0, 1, 3]])  # z = 1 + x + 2 y
    directions = np.array([[0.01, 0.02, 1 / 3]])
    hits = RayCaster(slanted, FACES).first_hits(np.zeros(3), directions)
    x, y, z = hits.distance[0] * directions[0]
    assert z == pytest.approx(1 + x + 2 * y, rel=1e-13)


def test_the_nearest_of_several_casters_wins_under_its_own_face_number() -> None:
    near = RayCaster(TRIANGLE - [0, 0, 1], FACES, numbers=np.array([7]))
    far = RayCaster(TRIANGLE, FACES, numbers=np.array([3]))
    origins = np.array([[0.2, 0.2, 0.0], [0.2, 0.2, 1.5], [5.0, 5.0, 0.0]])
    directions = np.tile([0.0, 0, 1], (3, 1))
    for joint in (JointCaster([near, far]), JointCaster([far, near])):
        hits = joint.first_hits(origins, directions)
        np.testing.assert_array_equal(hits.face, [7, 3, -1])
        np.testing.assert_allclose(hits.distance, [1, 0.5, np.inf])
        np.testing.assert_array_equal(joint.is_blocked(origins, directions), [True, True, False])


@pytest.mark.parametrize("package", ["trimesh", "embreex"])
def test_a_missing_extra_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what Python itself does for a package that cannot be imported
    monkeypatch.delitem(sys.modules, "trimesh.ray.ray_pyembree", raising=False)
    with pytest.raises(ConfigError, match=r"\.venv/bin/pip install -e '\.\[synthetic\]'"):
        RayCaster(TRIANGLE, FACES)
