import numpy as np

from pipeline.synthetic.mesh import Mesh
from pipeline.synthetic.movers.figures import blob_mesh, crawling, flag_mesh, waving, wobbling, worm_mesh

TIMES = np.arange(24) / 12


def volume(mesh: Mesh, vertices: np.ndarray) -> float:
    corners = vertices[mesh.faces]
    return float(np.abs(np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6))


def test_a_flag_hangs_on_its_hoist_and_waves_more_towards_its_end() -> None:
    mesh = flag_mesh(1.4, 0.9)
    shapes = waving(mesh, TIMES, amplitude_m=0.15)
    x = mesh.vertices[:, 0]
    np.testing.assert_allclose(shapes[:, x == 0], np.tile(mesh.vertices[x == 0], (24, 1, 1)), atol=1e-12)
    swing = np.ptp(shapes[..., 1], axis=0)
    assert swing[x > 1.3].min() > 2 * swing[(x > 0.2) & (x < 0.5)].max() * 0.8
    assert swing.max() < 0.5
    assert (np.diff(shapes[:, :, 0][:, np.argsort(x)], axis=1) > -0.2).all()


def test_a_flag_keeps_about_the_length_of_its_cloth() -> None:
    mesh = flag_mesh(1.4, 0.9)
    top = np.flatnonzero(mesh.vertices[:, 2] == 0)
    line = waving(mesh, TIMES, amplitude_m=0.15)[:, top[np.argsort(mesh.vertices[top, 0])]]
    length = np.linalg.norm(np.diff(line, axis=1), axis=-1).sum(axis=1)
    np.testing.assert_allclose(length, 1.4, rtol=0.15)


def test_a_blob_changes_its_shape_but_hardly_its_volume_and_stays_closed() -> None:
    mesh = blob_mesh(0.5)
    shapes = wobbling(mesh, TIMES, rng=np.random.default_rng(0), strength=0.25)
    volumes = np.array([volume(mesh, vertices) for vertices in shapes])
    assert np.ptp(volumes) / volumes.mean() < 0.5
    height = np.ptp(shapes[..., 2], axis=1)
    assert height.max() > 1.25 * height.min()
    _, group = np.unique(np.round(mesh.vertices, 9), axis=0, return_inverse=True)
    for number in range(group.max() + 1):
        together = shapes[:, group.ravel() == number]
        np.testing.assert_allclose(together, np.broadcast_to(together[:, :1], together.shape), atol=1e-9)


def test_a_worm_follows_its_own_track_over_the_ground() -> None:
    mesh = worm_mesh(2.0, 0.2)
    along = 0.6 * TIMES
    middle = crawling(mesh, along, sway_m=0.25)
    spine = np.abs(mesh.vertices[:, 1]) < 1e-9
    spine &= np.abs(mesh.vertices[:, 2] - 0.2) < 1e-9  # the line along its back
    on_ground = middle[:, spine] + np.stack([along, 0 * along, 0 * along], axis=-1)[:, None]
    first, later = on_ground[0], on_ground[12]
    for x, y, _ in later[np.abs(later[:, 0] - 0.6) < 0.35]:  # where the body still lies on what the first frame covers
        np.testing.assert_allclose(np.interp(x, np.sort(first[:, 0]), first[np.argsort(first[:, 0]), 1]), y, atol=0.02)
    assert np.ptp(middle[:, spine][..., 1]) > 0.4


def test_a_worm_is_as_thick_as_it_was_made_and_thinner_at_its_ends() -> None:
    mesh = worm_mesh(2.0, 0.2)
    shapes = crawling(mesh, np.zeros(1), sway_m=0.0)[0]
    radius = np.linalg.norm(shapes[:, 1:], axis=1)
    np.testing.assert_allclose(radius[(np.abs(mesh.vertices[:, 0]) < 0.1)], 0.2, rtol=0.02)
    assert radius[np.abs(mesh.vertices[:, 0]) > 0.99].max() < 0.06
