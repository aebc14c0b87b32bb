from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.synthetic.filming.frames import FrameMaker
from pipeline.synthetic.motions import turning
from pipeline.synthetic.render import render
from pipeline.synthetic.scene import Light, Scene, SceneObject
from pipeline.synthetic.truth import true_tracks

MakeScene, MakeBox = Callable[..., Scene], Callable[..., SceneObject]
MakeFrames = Callable[..., FrameMaker]


def sliding(velocity: tuple[float, float, float]) -> np.ndarray:
    return turning((-0.8, 2.5, 0.0), velocity, turn_deg_s=25, times_s=np.arange(4.0))


def test_truth_per_pixel_is_that_of_the_exact_renderer(
    make_frames: MakeFrames, make_scene: MakeScene, make_box: MakeBox, wandering_camera: np.ndarray
) -> None:
    scene = make_scene(make_box("mover", (0.6, 0.6, 0.7), sliding((0.5, 0, 0.1))), camera_to_world=wandering_camera)
    maker, exact = make_frames(scene), render(scene)
    for frame in range(4):
        made = maker.make(frame)
        same = np.isclose(made.depth, exact.depth[frame], rtol=1e-6)
        assert same.mean() > 0.995  # the rest: rays along an edge
        np.testing.assert_array_equal(made.dynamic[same], exact.dynamic_mask[frame][same])


def test_colours_are_close_to_those_of_the_exact_renderer(make_frames: MakeFrames, make_scene: MakeScene, make_box: MakeBox) -> None:
    scene = make_scene(make_box("mover", (0.6, 0.6, 0.7), sliding((0.5, 0, 0.1))))
    light = make_frames(scene).make(1).radiance * np.float32(1.05)
    film = np.clip(light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14), 0, 1) ** (1 / 2.2)
    difference = np.abs(255 * film - render(scene).frames[1])
    assert np.median(difference) < 8
    assert np.corrcoef(film.ravel(), render(scene).frames[1].ravel())[0, 1] > 0.9


def test_motion_in_the_image_is_that_of_the_tracks(
    make_frames: MakeFrames, make_scene: MakeScene, make_box: MakeBox, wandering_camera: np.ndarray
) -> None:
    scene = make_scene(make_box("mover", (0.6, 0.6, 0.7), sliding((0.5, 0, 0.1))), camera_to_world=wandering_camera)
    maker = make_frames(scene)
    for frame, there in ((0, 1), (2, 3), (3, 2)):  # the last frame tells what led to it
        made = maker.make(frame)
        y, x = np.nonzero(made.depth > 0)
        tracks = true_tracks(scene, np.stack([np.full_like(x, frame), x, y], axis=-1)).tracks_px
        moved = (tracks[there] - tracks[frame]) * (1 if there > frame else -1)
        np.testing.assert_allclose(made.motion_px[y, x], moved, atol=0.01)
    assert made.dynamic.any()


def test_the_sky_moves_only_as_the_camera_turns(make_frames: MakeFrames, make_scene: MakeScene, wandering_camera: np.ndarray) -> None:
    shifted = wandering_camera.copy()
    shifted[:, :3, :3] = wandering_camera[0, :3, :3]
    still = make_frames(make_scene(camera_to_world=shifted)).make(0)
    assert np.abs(still.motion_px[still.depth == 0]).max() < 1e-3
    assert np.abs(still.motion_px[still.depth > 0]).max() > 0.1
    turned = make_frames(make_scene(camera_to_world=wandering_camera)).make(
        0
    )  # 0.05 rad to the left: 1 px to the right at 20 px focal length
    above = turned.motion_px[1, 18:22, 0]
    np.testing.assert_allclose(above, 20 * np.tan(0.05), rtol=0.1)


def test_a_lamp_throws_shadows_away_from_itself_and_fades_with_distance(
    make_frames: MakeFrames, make_scene: MakeScene, make_box: MakeBox
) -> None:
    dark = Light(to_sun=(0, 0, 1), zenith=(0, 0, 0), horizon=(0, 0, 0), bounce=(0, 0, 0), haze_m=1e6)
    white = {"dots": np.full((16, 16, 3), 255, np.uint8)}
    post = make_box("post", (0.8, 0.1, 2.0), (0, 4.0, 0))
    scene = replace(make_scene(post), light=dark, textures=white)
    lit = make_frames(scene, lamp=(-2.0, 2.0, 0.0)).make(0).radiance[11, :, 0]
    # from x = -2 past the post at y 4 (x about 0) the shadow falls on the wall, y 5, at x about 1: 4 px right of the middle
    assert lit[23] < 0.02
    assert lit[12] > 10 * lit[23]
    assert lit[8] > 1.5 * lit[30]


def test_outlines_are_smoothed_and_surfaces_are_not_touched(make_frames: MakeFrames, make_scene: MakeScene, make_box: MakeBox) -> None:
    plain = {"dots": np.full((16, 16, 3), 128, np.uint8)}
    scene = replace(make_scene(make_box("block", (1.03, 0.1, 1.03), (0.0, 2.05, 0.0))), textures=plain)
    row = make_frames(scene).make(0).radiance[1:3].mean(axis=(0, 2))
    assert row.std() < 0.2  # the sky is even
    column = make_frames(scene).make(0).radiance[:, 2].mean(axis=1)
    steps = np.abs(np.diff(column))
    assert (steps > 0.02).sum() >= 2  # the wall's upper and lower edge
    assert column[10:14].std() < 0.01
