from collections.abc import Callable

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.synthetic.motions import turning
from pipeline.synthetic.render import render
from pipeline.synthetic.scene import Scene, SceneObject
from pipeline.synthetic.truth import true_tracks

MakeScene, MakeBox = Callable[..., Scene], Callable[..., SceneObject]


def sliding(start: tuple[float, float, float], velocity: tuple[float, float, float], turn_deg_s: float = 0) -> np.ndarray:
    return turning(start, velocity, turn_deg_s=turn_deg_s, times_s=np.arange(4.0))


def test_static_points_agree_with_depth_and_cameras(make_scene: MakeScene, make_box: MakeBox, wandering_camera: np.ndarray) -> None:
    scene = make_scene(make_box("still", (0.6, 0.5, 0.7), (0.6, 3.0, -0.3)), camera_to_world=wandering_camera)
    clip = render(scene)
    y, x = np.nonzero(clip.depth[1] > 0)
    tracks = true_tracks(scene, np.stack([np.ones_like(x), x, y], axis=-1))
    in_camera = clip.depth[1, y, x, None] * (np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(clip.intrinsics[1]).T)
    world = in_camera @ clip.camera_to_world[1, :3, :3].T + clip.camera_to_world[1, :3, 3]
    for frame in range(4):
        world_to_camera = np.linalg.inv(clip.camera_to_world[frame])
        seen = world @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        projected = seen @ clip.intrinsics[frame].T
        assert np.abs(projected[:, :2] / projected[:, 2:] - tracks.tracks_px[frame]).max() < 0.01
        np.testing.assert_allclose(tracks.tracks3d[frame], seen, atol=1e-5)
    assert tracks.visibility[1].all()
    assert tracks.valid.all()


def test_visible_points_lie_on_the_surface_that_the_depth_map_shows(make_scene: MakeScene, make_box: MakeBox) -> None:
    scene = make_scene(make_box("mover", (0.6, 0.6, 0.7), sliding((-0.8, 2.5, 0), (0.5, 0, 0.1), turn_deg_s=25)))
    clip = render(scene)
    rng = np.random.default_rng(1)
    queries = np.stack([rng.integers(0, 4, 300), rng.uniform(-0.5, 39.5, 300), rng.uniform(-0.5, 23.5, 300)], axis=-1)
    tracks = true_tracks(scene, queries)
    x, y = np.round(tracks.tracks_px).astype(int).clip([0, 0], [39, 23]).transpose(2, 0, 1)
    shown = clip.depth[np.arange(4)[:, None], y, x]
    agrees = np.abs(tracks.tracks3d[..., 2] - shown) < 0.1
    assert agrees[tracks.visibility].mean() > 0.95  # the rest lies within half a pixel of an edge
    hidden = ~tracks.visibility & tracks.valid
    assert hidden.sum() > 20
    assert (tracks.tracks3d[..., 2] > shown)[hidden].mean() > 0.9


def test_a_post_hides_the_wall_behind_it_in_the_frames_worked_by_hand(make_scene: MakeScene, make_box: MakeBox) -> None:
    # a post 0.4 m wide whose face, 2 m ahead, passes x = -0.9, -0.3, 0.3, 0.9; the rays to the wall's x = -0.75 and 0.75,
    # 5 m ahead, are at -0.3 and 0.3 there
    scene = make_scene(make_box("post", (0.4, 0.2, 3), sliding((-0.9, 2.1, 0), (0.6, 0, 0))))
    queries = [[0, 19.5 + 20 * x / 5, 11.5] for x in (-0.75, 0.75, 0.0)]
    tracks = true_tracks(scene, np.array(queries))
    np.testing.assert_array_equal(tracks.visibility.T, [[True, False, True, True], [True, True, False, True], [True] * 4])
    np.testing.assert_allclose(tracks.tracks_px, np.tile(np.array(queries)[:, 1:], (4, 1, 1)), atol=1e-4)


def test_a_query_on_a_mover_goes_with_it(make_scene: MakeScene, make_box: MakeBox) -> None:
    scene = make_scene(make_box("mover", (0.8, 0.8, 0.8), sliding((-0.5, 2.4, 0), (0.25, 0.1, 0.05))))
    query = np.array([[2, 19.5, 11.5]])  # at frame 2 the box is straight ahead, 2.2 m to its face
    tracks = true_tracks(scene, query)
    expected = np.array([[-0.5, 0.1, 2.0], [-0.25, 0.05, 2.1], [0, 0, 2.2], [0.25, -0.05, 2.3]])  # camera axes: y is down
    np.testing.assert_allclose(tracks.tracks3d[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(tracks.tracks_px[:, 0], 20 * expected[:, :2] / expected[:, 2:] + [19.5, 11.5], atol=1e-4)
    assert tracks.visibility.all()


def test_a_side_that_turns_away_is_hidden_by_its_own_box(make_scene: MakeScene, make_box: MakeBox) -> None:
    scene = make_scene(make_box("mover", (0.8, 0.8, 0.8), sliding((0.0, 2.4, 0), (0, 0, 0), turn_deg_s=90)))
    tracks = true_tracks(scene, np.array([[0, 19.5, 11.5]]))
    # the front turns to the right, to the back, to the left; edge-on sides, 2.4 m ahead, are seen from before their edge: hidden
    np.testing.assert_array_equal(tracks.visibility[:, 0], [True, False, False, False])
    np.testing.assert_allclose(tracks.tracks3d[:, 0], [[0, 0, 2.0], [0.4, 0, 2.4], [0, 0, 2.8], [-0.4, 0, 2.4]], atol=1e-6)


def test_points_behind_the_camera_or_outside_the_image_are_not_visible(make_scene: MakeScene, make_box: MakeBox) -> None:
    scene = make_scene(
        make_box("mover", (0.4, 0.4, 0.4), sliding((0, 2.0, 0), (0, -1.0, 0))),
        make_box("other", (0.4, 0.4, 0.4), sliding((1.0, 4, 0), (2.5, 0, 0))),
    )
    tracks = true_tracks(scene, np.array([[0, 19.5, 11.5], [0, 24.5, 11.5]]))
    np.testing.assert_array_equal(tracks.visibility.T, [[True, True, False, False], [True, True, False, False]])
    assert tracks.tracks3d[3, 0, 2] < 0
    assert np.isfinite(tracks.tracks_px).all()
    assert tracks.tracks_px[2, 1, 0] > 39.5


def test_a_query_on_the_sky_follows_nothing(make_scene: MakeScene) -> None:
    tracks = true_tracks(make_scene(), np.array([[1, 20, 1], [1, 20, 12]]))
    np.testing.assert_array_equal(tracks.valid, [False, True])
    assert not tracks.visibility[:, 0].any()
    np.testing.assert_array_equal(tracks.tracks_px[:, 0], np.tile([20, 1], (4, 1)))


@pytest.mark.parametrize("query", [[4, 3, 3], [-1, 3, 3], [1.5, 3, 3], [0, 39.6, 3], [0, 3, -0.6], [0, np.nan, 3]])
def test_a_query_outside_the_clip_is_refused(make_scene: MakeScene, query: list[float]) -> None:
    with pytest.raises(DataError, match="query 1 is"):
        true_tracks(make_scene(), np.array([[0, 3, 3], query]))


def test_no_queries_give_no_tracks(make_scene: MakeScene) -> None:
    assert true_tracks(make_scene(), np.zeros((0, 3))).tracks_px.shape == (4, 0, 2)
