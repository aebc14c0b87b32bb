"""A sheet that is stretched: the truth of a deforming thing, worked by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.synthetic.mesh import deformed_normals, rectangle
from pipeline.synthetic.render import render
from pipeline.synthetic.scene import Scene, SceneObject
from pipeline.synthetic.truth import true_tracks

MakeScene, MakeBox = Callable[..., Scene], Callable[..., SceneObject]
STRETCH = np.array([1.0, 1.6, 2.0, 1.0])


def sheet(num_frames: int = 4) -> SceneObject:
    """One metre square across the view, 2 m ahead; its width grows by STRETCH."""
    mesh = rectangle(np.array([-0.5, 2, 0.5]), np.array([1.0, 0, 0]), np.array([0, 0, -1.0]), step_m=0.25)
    shapes = mesh.vertices * np.stack([STRETCH, np.ones(4), np.ones(4)], axis=-1)[:num_frames, None]
    return SceneObject(name="sheet", mesh=mesh, texture="dots", tile_m=(1, 1), poses=np.eye(4), shapes=shapes)


def test_tracks_follow_the_surface_as_it_is_stretched(make_scene: MakeScene) -> None:
    x = np.array([-0.3, 0.1, 0.42])  # metres on the sheet at rest; 10 px per metre at 2 m and 20 px focal length
    tracks = true_tracks(make_scene(sheet()), np.stack([np.zeros(3), 19.5 + 10 * x, np.full(3, 11.5)], axis=-1))
    np.testing.assert_allclose(tracks.tracks3d[..., 0], STRETCH[:, None] * x, atol=1e-6)
    np.testing.assert_allclose(tracks.tracks_px[..., 0], 19.5 + 10 * STRETCH[:, None] * x, atol=1e-4)
    assert tracks.visibility.all()


def test_a_query_in_a_later_frame_finds_the_piece_of_surface_that_is_there_then(make_scene: MakeScene) -> None:
    tracks = true_tracks(make_scene(sheet()), np.array([[2, 19.5 + 10 * 0.8, 11.5]]))  # twice as wide: what was at 0.4
    np.testing.assert_allclose(tracks.tracks3d[:, 0, 0], 0.4 * STRETCH, atol=1e-6)


def test_a_deforming_thing_is_dynamic_and_hides_what_is_behind_it(make_scene: MakeScene) -> None:
    clip = render(make_scene(sheet()))
    np.testing.assert_array_equal(clip.dynamic_mask[:, 11].sum(axis=1), [10, 16, 20, 10])  # pixels wide, 10 per metre
    np.testing.assert_allclose(clip.depth[clip.dynamic_mask], 2, rtol=1e-6)
    beside = true_tracks(make_scene(sheet()), np.array([[0, 19.5 + 9.0, 11.5]]))  # on the wall; at twice the width the sheet covers it
    np.testing.assert_array_equal(beside.visibility[:, 0], [True, True, False, True])


def test_normals_follow_a_bend_and_no_seam_opens_where_vertices_are_doubled() -> None:
    flat = rectangle(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 0, -1.0]), step_m=0.5)
    np.testing.assert_allclose(deformed_normals(flat, flat.vertices), flat.normals)
    turned = flat.vertices[:, [1, 0, 2]] * [-1, 1, 1]  # a quarter turn about z
    np.testing.assert_allclose(deformed_normals(flat, turned), flat.normals[:, [1, 0, 2]] * [-1, 1, 1], atol=1e-12)


def test_shapes_must_fit_the_mesh_and_the_scene(make_scene: MakeScene) -> None:
    whole = sheet()
    with pytest.raises(DataError, match="object sheet: shapes"):
        SceneObject(name="sheet", mesh=whole.mesh, texture="dots", tile_m=(1, 1), poses=np.eye(4), shapes=np.zeros((4, 3, 3)))
    with pytest.raises(ConfigError, match="sheet: 3 shapes for 4 frames"):
        make_scene(sheet(3))
