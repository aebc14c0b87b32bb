import sys
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.synthetic.filming.tracing import Tracer
from pipeline.synthetic.geometry import SceneGeometry
from pipeline.synthetic.motions import turning
from pipeline.synthetic.scene import Scene, SceneObject

MakeScene, MakeBox = Callable[..., Scene], Callable[..., SceneObject]


@pytest.fixture
def scene(make_scene: MakeScene, make_box: MakeBox) -> Scene:
    poses = turning((-1.0, 2.5, 0.0), (0.7, 0.0, 0.0), turn_deg_s=30, times_s=np.arange(4.0))
    return make_scene(make_box("still", (0.5, 0.5, 0.5), (1.2, 3.0, -1.0)), make_box("mover", (0.4, 1.0, 0.4), poses))


def test_the_fast_caster_finds_the_same_faces_and_distances_as_the_exact_one(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal([0, 1, 0], [0.6, 0.2, 0.35], (3000, 3))
    tracer, geometry = Tracer(scene), SceneGeometry(scene)
    for frame in (0, 2):
        fast, exact = (
            tracer.place(frame).caster.first_hits(np.zeros(3), directions),
            geometry.place(frame).caster.first_hits(np.zeros(3), directions),
        )
        same = fast.face == exact.face
        assert same.mean() > 0.995  # rays that meet an edge between two triangles
        assert len(np.unique(fast.face)) > 30
        np.testing.assert_allclose(fast.distance[same], exact.distance[same], rtol=1e-12)


def test_weights_within_a_triangle_give_the_point_that_the_ray_meets(scene: Scene) -> None:
    tracer, directions = Tracer(scene), np.random.default_rng(1).normal([0, 1, 0], [0.6, 0.2, 0.35], (500, 3))
    placed = tracer.place(1)
    hits = placed.caster.surface_hits(np.zeros(3), directions)
    met = hits.face >= 0
    corners = placed.vertices[tracer.geometry.faces[hits.face[met]]]
    weights = np.stack([1 - hits.second - hits.third, hits.second, hits.third], axis=1)[met]
    np.testing.assert_allclose(np.einsum("nk,nki->ni", weights, corners), directions[met] * hits.distance[met, None], atol=1e-4)
    assert 0.5 < met.mean() < 1


def test_a_ray_is_blocked_only_by_what_lies_before_its_end(scene: Scene) -> None:
    caster = Tracer(scene).place(0).caster
    ahead = np.array([[0.0, 1, 0.3]] * 3)  # over everything but the wall, 5 m ahead
    np.testing.assert_array_equal(caster.is_blocked_before(np.zeros(3), ahead, np.array([4.9, 5.1, 1e30])), [False, True, True])
    np.testing.assert_array_equal(caster.is_blocked(np.zeros(3), np.array([[0.0, 1, 0], [0, -1, 0]])), [True, False])


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, scene: Scene) -> None:
    monkeypatch.setitem(sys.modules, "embreex.mesh_construction", None)  # what Python itself does for a package that cannot be imported
    with pytest.raises(ConfigError, match=r"\.venv/bin/pip install -e '\.\[synthetic\]'"):
        Tracer(scene)
