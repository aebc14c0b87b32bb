from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.synthetic.domains import DOMAINS, domain_named
from pipeline.synthetic.motions import turning
from pipeline.synthetic.scene import Scene, SceneObject
from pipeline.synthetic.staging import ClipRequest, preview_scene, stage
from pipeline.synthetic.worlds.materials import STUDIO_LOOKS, WILD_LOOKS

MakeScene, MakeBox = Callable[..., Scene], Callable[..., SceneObject]


def passing(y: float) -> np.ndarray:
    return turning((-0.6, y, 0.0), (0.4, 0.0, 0.0), turn_deg_s=0, times_s=np.arange(4.0))


def test_a_scene_with_something_in_motion_before_a_wall_can_be_filmed(make_scene: MakeScene, make_box: MakeBox) -> None:
    rehearsal = preview_scene(make_scene(make_box("mover", (0.8, 0.4, 0.8), passing(2.5)), make_box("near", (2, 0.2, 2), (0, 3.0, -1.4))))
    assert rehearsal.shortcoming is None
    assert 0.02 < rehearsal.moving_share < 0.3


def test_what_cannot_be_filmed_is_said(make_scene: MakeScene, make_box: MakeBox) -> None:
    assert "0.0% of the picture moves" in str(preview_scene(make_scene()).shortcoming)
    assert "the camera comes within 0.20 m" in str(preview_scene(make_scene(make_box("mover", (2, 0.4, 2), passing(0.4)))).shortcoming)
    far = make_scene(make_box("mover", (0.8, 0.4, 0.8), passing(4.5)), make_box("screen", (30, 1, 30), (0, 5.6, 0)))
    assert "far is only 1.0" in str(preview_scene(far).shortcoming)
    backwards = np.tile(np.diag([-1.0, -1, 1, 1]), (4, 1, 1)) @ far.camera_to_world
    assert "is sky" in str(preview_scene(replace(far, camera_to_world=backwards)).shortcoming)


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_a_staged_clip_has_its_textures_and_a_mover_in_view(domain: str) -> None:
    request = ClipRequest(domain=domain_named(domain), seed=2, number=1, num_frames=5, size=(32, 48))
    staged = stage(request)
    assert {texture.shape for texture in staged.scene.textures.values()} == {(192, 192, 3)}
    assert preview_scene(staged.scene).shortcoming is None
    assert staged.notes["movers"]
    assert any(item.is_moving for item in staged.scene.objects)
    assert staged.imaging.gain.shape == (5, 3)
    np.testing.assert_array_equal(staged.scene.camera_to_world, stage(request).scene.camera_to_world)


def test_a_scene_that_never_can_be_filmed_is_an_error_with_a_remedy() -> None:
    request = ClipRequest(domain=replace(domain_named("studio"), num_movers=(0, 0)), seed=2, number=1, num_frames=5, size=(32, 48))
    with pytest.raises(DataError, match="studio clip 1 of seed 2: none of 40 draws can be filmed .*moves.*take another seed"):
        stage(request)


@pytest.mark.parametrize("changes", [{"seed": -1}, {"num_frames": 1}, {"size": (8, 48)}])
def test_requests_that_make_no_clip_are_refused(changes: dict[str, int]) -> None:
    whole = {"domain": domain_named("studio"), "seed": 0, "number": 0, "num_frames": 5, "size": (32, 48)}
    with pytest.raises(ConfigError):
        ClipRequest(**{**whole, **changes})  # type: ignore[arg-type]


def test_both_domains_know_the_same_roles_and_share_only_rubber() -> None:
    assert set(STUDIO_LOOKS) == set(WILD_LOOKS)
    shared = [role for role in STUDIO_LOOKS if {look.paint for look in STUDIO_LOOKS[role]} & {look.paint for look in WILD_LOOKS[role]}]
    assert shared == ["rubber"]
