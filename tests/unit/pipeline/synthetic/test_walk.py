import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.synthetic.render import render
from pipeline.synthetic.scene import Scene, SceneClip
from pipeline.synthetic.truth import true_tracks
from pipeline.synthetic.walk import walk_scene


def texture_of_first_houses(scene: Scene) -> list[tuple[str, str]]:
    return [(item.name, item.texture) for item in scene.objects if item.name.startswith(("left0", "left1", "left2", "right0", "right1"))]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return walk_scene(3, num_frames=3, fps=2, height=36, width=64)


@pytest.fixture(scope="module")
def clip(scene: Scene) -> SceneClip:
    return render(scene)


def test_the_clip_shows_a_street_with_moving_things_below_the_sky(clip: SceneClip) -> None:
    assert clip.frames.shape == (3, 36, 64, 3)
    assert 0.005 < (clip.depth == 0).mean() < 0.3
    assert (clip.depth[:, -1] > 0).all()  # ground under one's feet
    assert 0.01 < clip.dynamic_mask.mean() < 0.4
    assert 60 < clip.frames.mean() < 190
    forward = np.diff(clip.camera_to_world[:, 1, 3])
    assert (forward > 0.5).all()  # half a second of walking


def test_three_things_move_and_can_be_tracked(scene: Scene, clip: SceneClip) -> None:
    assert [item.name for item in scene.objects if item.is_moving] == ["ball", "moving-crate", "sign"]
    y, x = np.nonzero(clip.dynamic_mask[0])
    tracks = true_tracks(scene, np.stack([np.zeros_like(x), x, y], axis=-1))
    world = np.einsum("tij,tnj->tni", scene.camera_to_world[:, :3, :3], tracks.tracks3d) + scene.camera_to_world[:, None, :3, 3]
    assert np.linalg.norm(world[1] - world[0], axis=-1).min() > 0.03


def test_a_longer_walk_begins_like_a_shorter_one_and_another_seed_builds_another_street(scene: Scene) -> None:
    longer = walk_scene(3, num_frames=5, fps=2, height=36, width=64)
    np.testing.assert_allclose(longer.camera_to_world[:3], scene.camera_to_world)
    assert texture_of_first_houses(longer) == texture_of_first_houses(scene)
    assert {name: texture.tobytes() for name, texture in longer.textures.items()} == {
        name: texture.tobytes() for name, texture in scene.textures.items()
    }
    other = walk_scene(4, num_frames=5, fps=2, height=36, width=64)
    assert not np.allclose(other.camera_to_world, longer.camera_to_world)
    assert texture_of_first_houses(other) != texture_of_first_houses(longer)
    assert (other.textures["cobbles"] != longer.textures["cobbles"]).any()


def test_a_walk_of_no_frames_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 frames"):
        walk_scene(num_frames=0)
