"""A hall under the open sky, known in closed form: what the readers' layouts are written from, and compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.records.truth import TruthClip

# n·x = d of floor, far wall and side walls; the walls end 2 m above the origin (y is down), beyond is sky
PLANES = (((0, 1, 0), 1.5), ((0, 0, 1), 9.0), ((-1, 0, 0), 4.0), ((1, 0, 0), 5.0))
TOP_Y = -2.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hall:
    """What T cameras see of it."""

    frames: np.ndarray  # uint8 "T H W 3"
    depth: np.ndarray  # float64 "T H W", along z, inf where there is sky
    intrinsics: np.ndarray  # float64 "3 3"
    camera_to_world: np.ndarray  # float64 "T 4 4"


@pytest.fixture(scope="session")
def hall() -> Callable[..., Hall]:
    """hall(height, width, intrinsics=None, num_frames=4) -> Hall."""

    def make(height: int, width: int, *, intrinsics: np.ndarray | None = None, num_frames: int = 4) -> Hall:
        focal = 0.8 * width
        K = np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1]]) if intrinsics is None else intrinsics
        poses = np.tile(np.eye(4), (num_frames, 1, 1))
        t = np.arange(num_frames)
        poses[:, :3, :3] = Rotation.from_euler("YXZ", np.stack([4 + 3 * t, -2 - 1.5 * t, 2 - t], axis=-1), degrees=True).as_matrix()
        poses[:, :3, 3] = np.stack([0.3 + 0.2 * t, -0.1 * t, 0.5 + 0.3 * t], axis=-1)
        views = [look(height, width, K, pose) for pose in poses]
        return Hall(frames=np.stack([v[0] for v in views]), depth=np.stack([v[1] for v in views]), intrinsics=K, camera_to_world=poses)

    return make


def look(height: int, width: int, intrinsics: np.ndarray, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width]
    rays = np.stack([(x - intrinsics[0, 2]) / intrinsics[0, 0], (y - intrinsics[1, 2]) / intrinsics[1, 1], np.ones(x.shape)], axis=-1)
    directions, origin = rays @ pose[:3, :3].T, pose[:3, 3]
    depth = np.full(x.shape, np.inf)
    for normal, offset in PLANES:
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = (offset - origin @ normal) / (directions @ np.array(normal, float))
            seen = (reach > 0) & (origin[1] + reach * directions[..., 1] >= TOP_Y)
        depth = np.where(seen & (reach < depth), reach, depth)
    points = origin + np.where(np.isfinite(depth), depth, 0)[..., None] * directions
    waves = np.stack([np.sin(2 * points @ (1, 0.3, 0.2)), np.sin(3 * points @ (0.1, 1, 0.4)), np.sin(2 * points @ (0.3, 0.2, 1))], axis=-1)
    return np.uint8(np.where(np.isfinite(depth)[..., None], 128 + 90 * waves, 200)), depth


@pytest.fixture(scope="session")
def worst_projection_px() -> Callable[[TruthClip, Hall], float]:
    """How far off points of the first frame land in the other frames, at most, by the clip's depth and cameras instead of the hall's."""

    def measure(clip: TruthClip, truth: Hall) -> float:
        assert clip.depth is not None
        assert clip.intrinsics is not None
        assert clip.camera_to_world is not None
        y, x = (index[::7] for index in np.nonzero(np.isfinite(truth.depth[0]) & (clip.depth[0] > 0)))
        true_K = np.tile(truth.intrinsics, (len(clip.frames), 1, 1))
        expected = follow(x, y, truth.depth[0, y, x], true_K, truth.camera_to_world)
        found = follow(x, y, clip.depth[0, y, x], clip.intrinsics, clip.camera_to_world)
        return float(np.abs(found - expected).max())

    return measure


def follow(x: np.ndarray, y: np.ndarray, depth: np.ndarray, intrinsics: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Pixels "T N 2" of the points that the first camera sees at x, y."""
    points = np.linalg.inv(intrinsics[0].astype(float)) @ np.stack([x, y, np.ones(len(x))]) * depth
    tracks = []
    for matrix, pose in zip(intrinsics, poses, strict=True):
        to_here = np.linalg.inv(pose.astype(float)) @ poses[0]
        pixels = matrix @ (to_here[:3, :3] @ points + to_here[:3, 3:])
        tracks.append((pixels[:2] / np.where(np.abs(pixels[2]) < 1e-3, 1e-3, pixels[2])).T)
    return np.stack(tracks)


@pytest.fixture(scope="session")
def forward_flow() -> Callable[[Hall], np.ndarray]:
    """Where the pixels of each frame but the last go in the next, float64 "T-1 H W 2"; NaN in the sky."""

    def make(truth: Hall) -> np.ndarray:
        y, x = np.mgrid[: truth.depth.shape[1], : truth.depth.shape[2]]
        K, flow = np.tile(truth.intrinsics, (2, 1, 1)), []
        for t in range(len(truth.depth) - 1):
            depth = np.where(np.isfinite(truth.depth[t]), truth.depth[t], np.nan).ravel()
            start, end = follow(x.ravel(), y.ravel(), depth, K, truth.camera_to_world[t : t + 2])
            flow.append((end - start).reshape(*x.shape, 2))
        return np.stack(flow)

    return make


@pytest.fixture(scope="session")
def check_flow() -> Callable[..., None]:
    """check_flow(clip, flow, atol=...): the clip has this flow, NaN is not valid, and its last frame has none."""

    def check(clip: TruthClip, flow: np.ndarray, *, atol: float) -> None:
        known = np.isfinite(flow).all(-1)
        assert known.mean() > 0.1
        assert np.abs(flow[known]).max() > 2
        np.testing.assert_array_equal(clip.flow_valid[:-1], known)
        np.testing.assert_allclose(clip.flow[:-1], np.where(known[..., None], flow, 0), atol=atol)
        assert not clip.flow_valid[-1].any()
        assert clip.flow_from_frame.tolist() == [*range(len(flow)), -1]
        assert clip.flow_to_frame.tolist() == [*range(1, len(flow) + 1), -1]

    return check


@pytest.fixture(scope="session")
def write_image() -> Callable[[Path, np.ndarray], Path]:
    """write_image(path, picture): RGB or 16-bit grey; the suffix tells the format."""

    def write(path: Path, picture: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 98] if path.suffix == ".jpg" else []
        done, data = cv2.imencode(path.suffix, picture[..., ::-1] if picture.ndim == 3 else picture, quality)
        assert done
        path.write_bytes(data.tobytes())
        return path

    return write
