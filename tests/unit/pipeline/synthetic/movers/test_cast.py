import numpy as np
import pytest

from pipeline.synthetic.domains import DOMAINS
from pipeline.synthetic.motions import GroundPath
from pipeline.synthetic.movers.cast import MOVER_KINDS, Part
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.worlds.materials import STUDIO_LOOKS, MaterialBook

TIMES = np.arange(13) / 12


def made(kind: str, seed: int = 0, speed: float = 1.0) -> list[SceneObject]:
    """A mover that goes along x, over ground at a height of 0.4 m, from x = 0 at time 0."""
    along = speed * TIMES
    path = GroundPath(times_s=TIMES, places=np.stack([along, 0 * along, 0 * along + 0.4], axis=-1), headings=np.zeros(13), along_m=along)
    book = MaterialBook(STUDIO_LOOKS, seed=(1,))
    return list(MOVER_KINDS[kind].make(Part(name=kind, book=book, path=path, rng=np.random.default_rng(seed))))


def world_points(item: SceneObject, frame: int) -> np.ndarray:
    pose = item.pose_at(frame)
    return item.shape_at(frame) @ pose[:3, :3].T + pose[:3, 3]


@pytest.mark.parametrize("kind", sorted(MOVER_KINDS))
def test_every_mover_moves_near_its_way_and_above_the_ground(kind: str) -> None:
    for seed in range(3):
        parts = made(kind, seed)
        assert any(part.is_moving for part in parts)
        assert any(part.shapes is not None for part in parts) == MOVER_KINDS[kind].is_deforming
        for frame in (0, 5, 12):
            points = np.concatenate([world_points(part, frame) for part in parts])
            assert points[:, 2].min() > 0.4 - 0.06, (kind, seed, frame)
            at = 0.5 if kind == "flag" else TIMES[frame]
            assert np.abs(points[:, :2] - [at, 0]).max() < MOVER_KINDS[kind].size_m + 1.3
        for part in parts:
            rotation = part.pose_at(3)[:3, :3]
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def test_a_ball_rolls_without_slipping() -> None:
    (ball,) = (made("ball", seed) for seed in range(20) if np.ptp(made("ball", seed)[0].poses[:, 2, 3]) == 0).__next__()
    radius = ball.mesh.vertices[:, 2].max()
    contact = np.array([0.0, 0, -radius])  # touches the ground in the first frame
    steps = 1e-4
    turn = ball.poses[1, :3, :3] @ ball.poses[0, :3, :3].T
    angle = np.arccos((np.trace(turn) - 1) / 2)
    assert angle == pytest.approx((ball.poses[1, 0, 3] - ball.poses[0, 0, 3]) / radius, rel=1e-6)
    assert (turn @ contact)[0] < -steps  # what is below goes backwards, as the ball goes forward


def test_wheels_turn_as_far_as_the_car_goes() -> None:
    wheel = next(part for part in made("car") if part.name.endswith("wheel0"))
    forward, angle = np.diff(wheel.poses[:2, 0, 3])[0], np.arcsin(-(wheel.poses[1, :3, :3] @ wheel.poses[0, :3, :3].T)[2, 0])
    assert forward == pytest.approx(0.32 * angle)


def test_a_foot_on_the_ground_stays_about_where_it_is_and_feet_take_turns() -> None:
    parts = {part.name: part for part in made("person", speed=1.2)}
    feet = {}
    for side in ("left", "right"):
        shin = parts[f"person-leg-{side}-lower"]
        lowest = shin.mesh.vertices[np.argmin(shin.mesh.vertices[:, 2])]
        feet[side] = np.stack([pose[:3, :3] @ lowest + pose[:3, 3] for pose in shin.poses])
    lower = np.where(feet["left"][:, 2] < feet["right"][:, 2], "left", "right")
    assert {"left", "right"} == set(lower.tolist())
    speeds = [abs(np.diff(feet[str(side)][i : i + 2, 0])[0]) * 12 for i, side in enumerate(lower[:-1])]
    assert np.median(speeds) < 0.3 * 1.2  # the foot that carries stays behind while the body goes on
    assert np.abs(feet["left"][:, 2].min() - 0.4) < 0.08
    gap = feet["left"][:, 0] - feet["right"][:, 0]
    assert gap.max() > 0.2
    assert gap.min() < -0.2


def test_domains_name_movers_and_worlds_that_exist() -> None:
    for domain in DOMAINS.values():
        assert set(domain.movers) <= set(MOVER_KINDS)
        assert set(domain.worlds) == {"room", "street", "terrain"}
        assert any(MOVER_KINDS[name].is_deforming for name in domain.movers)
