from collections.abc import Callable

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.synthetic.motions import turning
from pipeline.synthetic.render import render
from pipeline.synthetic.scene import Light, Scene, SceneObject, pinhole

MakeScene, MakeBox = Callable[..., Scene], Callable[..., SceneObject]


def test_depth_is_measured_along_z_and_the_sky_has_none(make_scene: MakeScene) -> None:
    depth = render(make_scene()).depth
    # the wall's face is 5 m ahead, 2 m up and down: at 20 px focal length 8 px around the middle row, 11.5
    np.testing.assert_allclose(depth[:, 4:20], 5, rtol=1e-6)
    np.testing.assert_array_equal(depth[:, :3], 0)
    np.testing.assert_array_equal(depth[:, 21:], 0)


def test_pixels_are_centred_on_integers(make_scene: MakeScene, make_box: MakeBox) -> None:
    # a block whose face, 2 m ahead, spans x from -0.25 to 0.35 m: at 20 px focal length, 17.0 to 23.0 px;
    # and z from -0.04 to 0.14 m: 10.1 to 11.9 px
    block = make_box("block", (0.602, 0.1, 0.18), (0.05, 2.05, 0.05))
    near = render(make_scene(block)).depth[0] < 2.5
    rows, columns = np.nonzero(near & (np.arange(24) < 20)[:, None] & (np.arange(24) > 3)[:, None])
    assert (columns.min(), columns.max()) == (17, 23)
    assert (rows.min(), rows.max()) == (11, 11)


def test_the_mask_marks_the_pixels_of_movers_and_of_nothing_else(make_scene: MakeScene, make_box: MakeBox) -> None:
    poses = turning((-1.0, 2.5, 0.0), (0.7, 0.0, 0.0), turn_deg_s=0, times_s=np.arange(4.0))
    clip = render(make_scene(make_box("still", (0.5, 0.5, 0.5), (1.2, 3.0, -1.0)), make_box("mover", (0.4, 1.0, 0.4), poses)))
    columns = [np.flatnonzero(mask.any(axis=0)).mean() for mask in clip.dynamic_mask]
    np.testing.assert_allclose(columns, 19.5 + 20 * (-1.0 + 0.7 * np.arange(4)) / 2, atol=2.5)
    np.testing.assert_allclose(clip.depth[clip.dynamic_mask].min(), 2, rtol=1e-6)
    assert (clip.depth[~clip.dynamic_mask & (clip.depth > 0)] > 2.5).all()


def test_two_renders_are_equal_byte_by_byte(make_scene: MakeScene, make_box: MakeBox, wandering_camera: np.ndarray) -> None:
    poses = turning((-1.0, 2.5, 0.0), (0.7, 0.0, 0.0), turn_deg_s=20, times_s=np.arange(4.0))
    first, again = (render(make_scene(make_box("mover", (0.4, 1, 0.4), poses), camera_to_world=wandering_camera)) for _ in range(2))
    assert first.frames.tobytes() == again.frames.tobytes()
    assert first.depth.tobytes() == again.depth.tobytes()
    assert first.dynamic_mask.tobytes() == again.dynamic_mask.tobytes()


def test_colours_sit_where_the_depth_says(make_scene: MakeScene) -> None:
    frames = render(make_scene()).frames.astype(int)
    above, wall = frames[:, :3].reshape(-1, 3), frames[:, 5:19].reshape(-1, 3)
    assert above.std(axis=0).max() < 12  # a smooth sky
    assert wall.std(axis=0).min() > 20  # dots
    assert abs(above.mean() - wall.mean()) > 20


def test_the_optical_axis_of_a_pinhole_meets_the_middle_of_the_image() -> None:
    intrinsics = pinhole(24, 40, horizontal_fov_deg=90)
    np.testing.assert_allclose(intrinsics, [[20, 0, 19.5], [0, 20, 11.5], [0, 0, 1]])  # the left border, -0.5, is 45 degrees off


def test_a_scene_that_names_an_unknown_texture_is_refused(make_scene: MakeScene) -> None:
    scene = make_scene()
    with pytest.raises(ConfigError, match="cirrus"):
        Scene(
            objects=scene.objects,
            textures=scene.textures,
            light=Light(to_sun=(0, 0, 1), clouds="cirrus"),
            camera_to_world=scene.camera_to_world,
            intrinsics=scene.intrinsics,
            height=24,
            width=40,
            fps=10,
        )


def test_a_mover_with_too_few_poses_is_refused(make_scene: MakeScene, make_box: MakeBox) -> None:
    with pytest.raises(ConfigError, match="mover: 3 poses for 4 frames"):
        make_scene(make_box("mover", (1, 1, 1), np.tile(np.eye(4), (3, 1, 1))))
