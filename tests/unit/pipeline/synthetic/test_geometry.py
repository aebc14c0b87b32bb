from collections.abc import Callable

import numpy as np

from pipeline.synthetic.geometry import SceneGeometry
from pipeline.synthetic.motions import turning
from pipeline.synthetic.scene import Scene, SceneObject


def test_a_point_on_a_mover_is_carried_rigidly(make_scene: Callable[..., Scene], make_box: Callable[..., SceneObject]) -> None:
    poses = turning((0.0, 3.0, 0.0), (0.4, -0.2, 0.1), turn_deg_s=40, times_s=np.arange(4.0))
    geometry = SceneGeometry(make_scene(make_box("mover", (1, 1, 1), poses)))
    own = np.array([[0.21, -0.5, 0.13, 1]])  # on the front, in the box's own frame
    start = geometry.place(0)
    direction = np.array([[0.0, 1, 0]])
    hits = start.caster.first_hits((own @ poses[0].T)[0, :3] - 1.0 * direction[0], direction)
    point = geometry.anchor(start, face=hits.face, points=(own @ poses[0].T)[:, :3])
    for frame in range(4):
        np.testing.assert_allclose(geometry.locate(geometry.place(frame), point), (own @ poses[frame].T)[:, :3], atol=1e-12)


def test_only_what_moves_is_marked_as_moving(make_scene: Callable[..., Scene], make_box: Callable[..., SceneObject]) -> None:
    poses = turning((0.0, 3.0, 0.0), (0.4, 0.0, 0.0), turn_deg_s=0, times_s=np.arange(4.0))
    geometry = SceneGeometry(make_scene(make_box("mover", (1, 1, 1), poses)))
    first, last = geometry.place(0), geometry.place(3)
    moved = np.linalg.norm(last.vertices - first.vertices, axis=1)
    np.testing.assert_allclose(moved[geometry.vertex_moves], 1.2)
    np.testing.assert_array_equal(moved[~geometry.vertex_moves], 0)
    assert geometry.face_moves.sum() == len(make_box("same", (1, 1, 1), poses).mesh.faces)
