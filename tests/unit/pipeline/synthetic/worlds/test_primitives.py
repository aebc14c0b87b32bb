import numpy as np
import pytest

from pipeline.synthetic.mesh import Mesh, box
from pipeline.synthetic.worlds.objects import WHEEL_M, block, car_body, cone, grid_mesh, rock, roof, shift, wheel, wheel_places


def areas(mesh: Mesh) -> np.ndarray:
    corners = mesh.vertices[mesh.faces]
    return np.asarray(np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2)


def assert_faces_and_normals_agree(mesh: Mesh) -> None:
    corners = mesh.vertices[mesh.faces]
    outwards = np.cross(corners[:, 2] - corners[:, 0], corners[:, 1] - corners[:, 0])
    assert (np.einsum("fi,fki->fk", outwards, mesh.normals[mesh.faces]) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-9)


def test_a_block_is_a_box_of_one_cell_per_side() -> None:
    quick, slow = block((1.0, 2.0, 0.5)), box((1.0, 2.0, 0.5), step_m=5)
    for name in ("vertices", "normals", "uv", "faces"):
        np.testing.assert_allclose(getattr(quick, name), getattr(slow, name), atol=1e-12)


def test_a_height_field_has_its_normals_upwards() -> None:
    x, y = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(1, -1, 4))
    mesh = grid_mesh(np.stack([x, y, 0.5 * x], axis=-1))
    np.testing.assert_allclose(mesh.normals, np.tile(np.array([-0.5, 0, 1]) / np.sqrt(1.25), (20, 1)), atol=1e-12)
    assert_faces_and_normals_agree(mesh)
    assert areas(mesh).sum() == pytest.approx(4 * np.sqrt(1.25))


def test_rocks_cones_and_roofs_are_seen_from_outside() -> None:
    for mesh in (rock(np.random.default_rng(0), 0.8), cone(1.0, 2.0), roof(5.0, 4.0, 2.0)):
        assert_faces_and_normals_agree(mesh)
        outwards = np.einsum("vi,vi->v", mesh.normals, mesh.vertices - mesh.vertices.mean(axis=0))
        assert (outwards > 0).all()


def test_sizes_are_as_asked_for() -> None:
    np.testing.assert_allclose(np.ptp(roof(5.0, 4.0, 2.0).vertices, axis=0), [5, 4, 2])
    np.testing.assert_allclose(np.ptp(cone(1.0, 2.0).vertices[:, 2]), 2)
    np.testing.assert_allclose(np.abs(rock(np.random.default_rng(0), 0.8).vertices).max(), 0.8, atol=0.6)
    np.testing.assert_allclose(shift(block((1, 1, 1)), (0, 0, 3)).vertices.mean(axis=0), [0, 0, 3])


def test_a_car_stands_on_its_wheels() -> None:
    places = wheel_places(4.0)
    lowest = [(wheel().vertices + place)[:, 2].min() for place in places]
    np.testing.assert_allclose(lowest, 0, atol=1e-9)
    assert car_body(4.0).vertices[:, 2].min() > 0.2
    np.testing.assert_allclose(np.ptp(wheel().vertices, axis=0), [2 * WHEEL_M, 0.2, 2 * WHEEL_M], atol=1e-9)
