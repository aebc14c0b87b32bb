"""Points between world, camera and pixels, for T frames at once; float64 inside, whatever comes in."""

import numpy as np

NEAR_M = 0.05  # points nearer than this, or behind the camera, are not seen; they are projected as if they were this far
_FARTHEST_PX = 1e5  # projections of such points stay finite and small enough for any later arithmetic


def camera_from_world(points: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    """Points "T N 3" of the world in the camera of their frame ("T 4 4"): rows R' (p - t)."""
    poses = camera_to_world.astype(np.float64)
    return np.asarray((points - poses[:, None, :3, 3]) @ poses[:, :3, :3])


def world_from_camera(points: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    """Points "T N 3", each in the camera of its frame ("T 4 4"), in the world: rows R p + t."""
    poses = camera_to_world.astype(np.float64)
    return np.asarray(points.astype(np.float64) @ poses[:, :3, :3].transpose(0, 2, 1) + poses[:, None, :3, 3])


def project(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels "T N 2" (integer = pixel centre) of points "T N 3" in the camera of their frame, by matrices "T 3 3"."""
    depth = np.maximum(points[..., 2:], NEAR_M)
    homogeneous = np.concatenate([points[..., :2] / depth, np.ones_like(depth)], axis=-1)
    pixels = homogeneous @ intrinsics.astype(np.float64)[:, :2].transpose(0, 2, 1)
    return np.asarray(np.clip(pixels, -_FARTHEST_PX, _FARTHEST_PX))


def unproject(pixels: np.ndarray, depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points "T N 3" in the camera of their frame, of pixels "T N 2" at depth "T N" along z; matrices "T 3 3", zero skew."""
    matrices = intrinsics.astype(np.float64)
    focal, centre = matrices[:, None, [0, 1], [0, 1]], matrices[:, None, :2, 2]
    return np.concatenate([(pixels - centre) / focal * depth[..., None], depth[..., None]], axis=-1)


def distance_to_depth(distance: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Euclidean distances from the camera "T H W" as depth along z: divided by the length of K^-1 (x, y, 1), K "T 3 3" without skew."""
    height, width = distance.shape[1:]
    matrices = intrinsics.astype(np.float64)[:, None]
    across = (np.arange(width) - matrices[..., 0, 2]) / matrices[..., 0, 0]  # "T W"
    down = (np.arange(height) - matrices[..., 1, 2]) / matrices[..., 1, 1]  # "T H"
    return np.asarray(distance / np.sqrt(1 + across[:, None] ** 2 + down[..., None] ** 2))


def inside(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether pixels "... 2" lie on an image of size (H, W), which covers [-0.5, W-0.5] x [-0.5, H-0.5]."""
    return np.asarray(((pixels >= -0.5) & (pixels <= np.array(size[::-1]) - 0.5)).all(axis=-1))


def nearest(maps: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Values "T N" of maps "T H W" at the pixel on which each of "T N 2" falls; outside the image, of the nearest pixel in it."""
    height, width = maps.shape[1:]
    column = np.clip(np.round(pixels[..., 0]), 0, width - 1).astype(np.int64)
    row = np.clip(np.round(pixels[..., 1]), 0, height - 1).astype(np.int64)
    return np.asarray(maps[np.arange(len(maps))[:, None], row, column])
