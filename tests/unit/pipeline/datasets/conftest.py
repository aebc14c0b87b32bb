"""An analytic scene (two planes and a card that moves before them) whose every number is known, to be written as any dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.check_tables import CheckSummary, write_check_summary
from pipeline.datasets.converting import convert_shard
from pipeline.datasets.planning import ConversionPolicy, plan_sequences
from pipeline.datasets.source import TruthSource
from pipeline.records import ClipSample
from pipeline.shards.errors_table import ErrorRow, read_errors
from pipeline.shards.plan import read_plan_counts, write_plan
from pipeline.stream import ClipStream, StreamConfig


@dataclass(frozen=True, kw_only=True)
class PlaneScene:
    """T frames, N points; pixels with integer = pixel centre, OpenCV axes, metres."""

    frames: np.ndarray  # uint8 "T H W 3"
    depth: np.ndarray  # float64 "T H W"
    dynamic_mask: np.ndarray  # bool "T H W"
    intrinsics: np.ndarray  # "3 3"
    camera_to_world: np.ndarray  # "T 4 4"
    tracks2d: np.ndarray  # "T N 2"
    world: np.ndarray  # "T N 3"
    visible: np.ndarray  # bool "T N"
    static: np.ndarray  # bool "N"

    @property
    def size(self) -> tuple[int, int]:
        return self.depth.shape[1], self.depth.shape[2]

    @property
    def num_frames(self) -> int:
        return len(self.depth)


PLANES = (  # a point on the plane, its normal, two directions along it
    (np.array([0, 1.2, 0]), np.array([0, 1.0, 0]), np.array([[1.0, 0, 0], [0, 0, 1]])),
    (np.array([0, 0, 9.0]), np.array([0.3, 0, 1.0]), np.array([[1.0, 0, -0.3], [0, 1, 0]])),
)
CARD = 0.7  # half its side


def card_centre(frame: int) -> np.ndarray:
    return np.array([-1.2 + 0.2 * frame, 0.1, 4.0])


def look(frame: int) -> np.ndarray:
    """Camera to world: a walk to the right and forward with a turn, far from the world's origin and axes."""
    yaw, pitch = 0.02 * frame - 0.1, 0.01 * frame
    turn_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn_y @ turn_x, (0.06 * frame, -0.02 * frame, 0.08 * frame)
    return pose


def elsewhere() -> np.ndarray:
    """The world in which datasets give the scene: turned and moved, so that a pose is unlike its inverse."""
    moved = np.eye(4)
    moved[:3, :3] = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
    moved[:3, 3] = (3.0, -2.0, 1.5)
    return moved


def cast(origin: np.ndarray, directions: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Length along each ray to the first surface, and which it is: 0, 1 the planes, 2 the card."""
    lengths = []
    for point, normal, _ in PLANES:
        along = directions @ normal
        length = ((point - origin) @ normal) / np.where(np.abs(along) < 1e-9, 1e-9, along)
        lengths.append(np.where(length > 1e-6, length, np.inf))
    centre = card_centre(frame)
    length = (centre[2] - origin[2]) / np.where(np.abs(directions[..., 2]) < 1e-9, 1e-9, directions[..., 2])
    hit = origin + length[..., None] * directions
    on_card = (np.abs(hit[..., :2] - centre[:2]) < CARD).all(axis=-1) & (length > 0)
    lengths.append(np.where(on_card, length, np.inf))
    return np.min(lengths, axis=0), np.argmin(lengths, axis=0)


def paint(points: np.ndarray, surface: np.ndarray, frame: int) -> np.ndarray:
    colour = np.zeros((*surface.shape, 3))
    for index in range(3):
        local = points - card_centre(frame) if index == 2 else points
        axes = np.eye(3)[:2] if index == 2 else PLANES[index][2]
        u, v = local @ axes[0], local @ axes[1]
        pattern = [np.sin(5 * u + index) * np.cos(4 * v), np.sin(3 * u - 7 * v), np.cos(9 * u) * np.sin(2 * v + index)]
        colour[surface == index] = (110 + 25 * index + 60 * np.stack(pattern, -1))[surface == index]
    return np.clip(colour, 0, 255).astype(np.uint8)


def make_scene(num_frames: int = 12, height: int = 96, width: int = 128) -> PlaneScene:
    intrinsics = np.array([[110.0, 0, width / 2 - 0.5], [0, 110.0, height / 2 - 0.5], [0, 0, 1]])  # the image's middle
    poses = np.stack([look(frame) for frame in range(num_frames)])
    rays = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1) - intrinsics[:2, 2]
    rays = np.concatenate([rays / 110.0, np.ones((height, width, 1))], -1)
    frames, depth, surfaces = [], [], []
    for frame, pose in enumerate(poses):
        directions = rays @ pose[:3, :3].T
        length, surface = cast(pose[:3, 3], directions, frame)
        frames.append(paint(pose[:3, 3] + length[..., None] * directions, surface, frame))
        depth.append(length)
        surfaces.append(surface)
    world, static = followed(num_frames, poses[0], rays)
    camera = np.einsum("tij,tnj->tni", poses[:, :3, :3].transpose(0, 2, 1), world - poses[:, None, :3, 3])
    tracks2d = camera[..., :2] / camera[..., 2:] * 110.0 + intrinsics[:2, 2]
    visible = np.stack([seen(pose[:3, 3], world[frame], frame) for frame, pose in enumerate(poses)])
    visible &= ((tracks2d >= -0.5) & (tracks2d <= np.array([width, height]) - 0.5)).all(axis=-1)
    moved = elsewhere()
    return PlaneScene(
        frames=np.stack(frames),
        depth=np.stack(depth),
        dynamic_mask=np.stack(surfaces) == 2,
        intrinsics=intrinsics,
        camera_to_world=moved @ poses,
        tracks2d=tracks2d,
        world=world @ moved[:3, :3].T + moved[:3, 3],
        visible=visible,
        static=static,
    )


def followed(num_frames: int, first: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World points "T N 3" under a grid of the first frame's pixels, and behind the card, and which of them stand still."""
    directions = rays[3::6, 3::6].reshape(-1, 3) @ first[:3, :3].T
    length, surface = cast(first[:3, 3], directions, 0)
    behind, _ = cast(first[:3, 3], directions, 10_000)  # the card is far away by then: what it hides now
    points = np.concatenate([first[:3, 3] + length[:, None] * directions, first[:3, 3] + behind[:, None] * directions])
    static = np.concatenate([surface != 2, np.ones(len(behind), bool)])
    moves = np.stack([card_centre(frame) - card_centre(0) for frame in range(num_frames)])
    return points + np.where(static[:, None], 0, moves[:, None]), static


def seen(origin: np.ndarray, points: np.ndarray, frame: int) -> np.ndarray:
    length, _ = cast(origin, points - origin, frame)
    return length > 1 - 1e-6


@pytest.fixture(scope="session")
def plane_scene() -> PlaneScene:
    return make_scene()


@dataclass(frozen=True, kw_only=True)
class Conversion:
    samples: list[ClipSample]
    errors: list[ErrorRow]
    checks: dict[str, CheckSummary]
    root: Path

    @property
    def sample(self) -> ClipSample:
        assert not self.errors, self.errors[0].message
        return self.samples[0]


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., Conversion]:
    """convert(source, **policy) -> what lies in the shards afterwards, as the stream reads it."""

    def run(source: TruthSource, **policy: object) -> Conversion:
        root, chosen = str(tmp_path / "root"), ConversionPolicy(split_shares={"train": 1.0}, **policy)  # type: ignore[arg-type]
        planned = plan_sequences(source, source.sequences(), chosen)
        write_plan(root, iter(planned.clips))
        outcomes = [
            convert_shard(root, shard, source=source, policy=chosen, crashed={}) for shard in read_plan_counts(root).shards.tolist()
        ]
        summaries = write_check_summary(root)
        samples = (
            list(ClipStream(StreamConfig(root=root, num_frames=None, epochs=1, shuffle=False))) if sum(o.clips for o in outcomes) else []
        )
        return Conversion(
            samples=samples, errors=read_errors(root, "shards"), checks={each.name: each for each in summaries}, root=Path(root)
        )

    return run
