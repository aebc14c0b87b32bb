"""A long video by St4RTrack: each window has a first frame of its own to refer to, and windows are chained by the frames they share."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from networks import build_model
from networks.st4rtrack import TwinOutput
from networks.st4rtrack.network import EncodedImages
from pipeline.metrics.similarity import umeyama
from tests.unit.trainer.families.st4rtrack.test_family import TINY
from trainer.geometry import invert_rigid, transform_points
from trainer.inference import Reconstruction, WindowPlan, predict, reconstruct

T, H, W, FOCAL = 13, 32, 48, 40.0
SPEED = torch.tensor([0.03, -0.02, 0.05], dtype=torch.float64)  # of what moves, per frame, in the world


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A camera on its way past a relief of which the right half moves; `units` are those that a model takes by its first frame."""

    camera_to_world: torch.Tensor  # "T 4 4"
    seen: torch.Tensor  # "T H W 3": points of each frame at its own time, in the world
    units: torch.Tensor  # "T"

    def moved(self, first: int, now: int) -> torch.Tensor:
        """Points "H W 3" that the first frame shows, at another time, in the world."""
        points = self.seen[first].clone()
        points[:, W // 2 :] += (now - first) * SPEED
        return points

    def in_first(self, first: int, points: torch.Tensor) -> torch.Tensor:
        """Points of the world "H W 3" as an exact network says them of pairs with this first frame: its axes, its unit."""
        return self.units[first] * transform_points(
            invert_rigid(self.camera_to_world[first : first + 1]), points.reshape(1, -1, 3)
        ).reshape(points.shape)


@pytest.fixture(scope="module")
def walk() -> Walk:
    draw = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (T, 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("yx", np.stack([np.linspace(0, 0.5, T), draw.normal(0, 0.05, T)], 1)).as_matrix()
    poses[:, :3, 3] = np.stack([np.linspace(0, 1.5, T), draw.normal(0, 0.05, T), draw.normal(0, 0.05, T)], 1)
    y, x = np.mgrid[:H, :W]
    rays = np.stack([(x - (W - 1) / 2) / FOCAL, (y - (H - 1) / 2) / FOCAL, np.ones((H, W))], -1)
    local = rays * draw.uniform(2, 4, (T, H, W, 1))
    to_world = torch.from_numpy(poses)
    seen = transform_points(to_world, torch.from_numpy(local).flatten(1, 2)).unflatten(1, (H, W))
    return Walk(camera_to_world=to_world, seen=seen, units=torch.from_numpy(np.exp(draw.uniform(-1, 1, T))))


def exact_network(walk: Walk):
    """A network of the family that knows the walk: the number of a frame is the brightness of its image."""
    model = build_model("st4rtrack", TINY)

    def encode(images):
        return EncodedImages(tokens=(images[:, :1, 0, :1] + 1) / 2 * 255, grid=(H // 16, W // 16))

    def decode(first, second):
        pairs = [(round(float(i)), round(float(j))) for i, j in zip(first.tokens.flatten(), second.tokens.flatten(), strict=True)]
        moved = torch.stack([walk.in_first(i, walk.moved(i, j)) for i, j in pairs]).float()
        seen = torch.stack([walk.in_first(i, walk.seen[j]) for i, j in pairs]).float()
        sure = torch.full(moved.shape[:3], 3.0)
        return TwinOutput(point_map_1=moved, confidence_1=sure, point_map_2=seen, confidence_2=sure)

    model.encode, model.decode = encode, decode
    return model


@pytest.mark.parametrize(("length", "overlap"), [(5, 1), (6, 3)])  # a new first frame every four frames, and every three
def test_windows_in_units_of_their_own_are_chained_into_the_first_ones_world(length, overlap, walk, tmp_path) -> None:
    model, queries = exact_network(walk), np.array([[5.0, 9.0], [40.0, 20.0]], np.float32)  # what stands, and what moves
    video = np.broadcast_to(np.arange(T, dtype=np.uint8)[:, None, None, None], (T, H, W, 3))
    windows = list(WindowPlan(length=length, overlap=overlap).cut(video))
    references = [window.first for window in windows]
    with Reconstruction(str(tmp_path), least_confidence=0.1) as whole:
        joints = list(reconstruct(windows, lambda window: predict(model, np.stack(window.items), queries), whole))
        points, poses = whole.points(0, T), whole.camera_to_world
        tracks = [whole.tracks(frame) for frame in range(T)]
    expected = torch.stack([walk.in_first(0, walk.seen[j]) for j in range(T)])
    np.testing.assert_allclose(points, expected, atol=2e-3)
    true_poses = (invert_rigid(walk.camera_to_world[:1]) @ walk.camera_to_world).numpy()
    np.testing.assert_allclose(poses[:, :3, :3], true_poses[:, :3, :3], atol=1e-3)
    np.testing.assert_allclose(poses[:, :3, 3], float(walk.units[0]) * true_poses[:, :3, 3], atol=2e-3)
    for reference, joint in zip(references[1:], joints[1:], strict=True):
        assert joint is not None
        assert joint.similarity.scale == pytest.approx(float(walk.units[0] / walk.units[reference]), rel=1e-4)
        np.testing.assert_allclose(joint.similarity.rotation, true_poses[reference, :3, :3], atol=1e-4)
        assert joint.error < 1e-4
    for frame, found in enumerate(tracks):
        for column, place in zip(found.columns, found.world, strict=True):
            reference, (x, y) = references[column // 2], queries[column % 2].astype(int)
            np.testing.assert_allclose(place, walk.in_first(0, walk.moved(reference, frame))[y, x], atol=2e-3)


def test_the_joint_is_that_of_head_2_of_the_pair_before_and_head_1_of_the_new_first_frame_with_itself(walk, tmp_path) -> None:
    model, last = exact_network(walk), 4
    video = np.broadcast_to(np.arange(T, dtype=np.uint8)[:, None, None, None], (T, H, W, 3))
    windows = list(WindowPlan(length=last + 1, overlap=1).cut(video[: 2 * last + 1]))
    with Reconstruction(str(tmp_path), least_confidence=0.1) as whole:
        _, joint = reconstruct(windows, lambda window: predict(model, np.stack(window.items)), whole)
    number = model.encode(torch.from_numpy(video[[0, last]].copy()).permute(0, 3, 1, 2) / 127.5 - 1)
    before, alone = model.decode(number[[0]], number[[1]]), model.decode(number[[1]], number[[1]])
    stated = umeyama(alone.point_map_1.numpy().reshape(-1, 3), before.point_map_2.numpy().reshape(-1, 3))
    assert joint is not None
    assert joint.similarity.scale == pytest.approx(stated.scale, rel=1e-5)
    np.testing.assert_allclose(joint.similarity.rotation, stated.rotation, atol=1e-5)
    np.testing.assert_allclose(joint.similarity.translation, stated.translation, atol=1e-4)
