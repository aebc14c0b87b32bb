import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.synthetic.mesh import Mesh, box, cylinder, rectangle, sphere

SHAPES = {"box": box((1, 2, 3)), "cylinder": cylinder(0.5, 2), "sphere": sphere(0.7)}


@pytest.mark.parametrize("shape", SHAPES)
def test_normals_are_unit_and_point_outwards(shape: str) -> None:
    mesh = SHAPES[shape]
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1)
    assert (np.sum(mesh.normals * mesh.vertices, axis=1) > 0).all()  # all are convex about the origin


@pytest.mark.parametrize(("shape", "area"), [("box", 22), ("cylinder", 2 * np.pi * 0.5 * 2.5), ("sphere", 4 * np.pi * 0.49)])
def test_the_surface_is_whole_and_no_triangle_is_flat(shape: str, area: float) -> None:
    mesh = SHAPES[shape]
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    assert areas.min() > 1e-6
    assert areas.sum() == pytest.approx(area, rel=0.015)  # round shapes are cut to 32 segments


def test_the_texture_of_a_box_front_runs_right_and_down_from_its_upper_left_corner() -> None:
    mesh = box((2, 1, 3))
    front = np.isclose(mesh.vertices[:, 1], -0.5) & (mesh.normals[:, 1] < -0.5)
    x, _, z = mesh.vertices[front].T
    np.testing.assert_allclose(mesh.uv[front], np.stack([x + 1, 1.5 - z], axis=-1), atol=1e-12)


def test_a_rectangle_is_cut_into_cells_of_the_asked_size() -> None:
    mesh = rectangle(np.zeros(3), np.array([2.0, 0, 0]), np.array([0, -1.0, 0]), step_m=0.5)
    assert mesh.faces.shape == (4 * 2 * 2, 3)
    np.testing.assert_allclose(mesh.normals, np.tile([0, 0, 1], (15, 1)))


def test_faces_that_name_no_vertex_are_refused() -> None:
    corner = np.zeros((3, 3))
    with pytest.raises(DataError, match="faces"):
        Mesh(vertices=corner, normals=corner, uv=np.zeros((3, 2)), faces=np.array([[0, 1, 3]], np.int32))
