"""A small world whose every point is known: a room, a camera on a curve, and two balls that roll through it."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

HEIGHT, WIDTH, FOCAL = 36, 48, 41.25  # pixels of the point maps; the image itself is thought 256 wide
PLANES = (  # n . X = d, world
    ((0.0, 1.0, 0.0), 1.3),  # floor
    ((0.15, 0.1, -1.0), -7.0),  # back wall, tilted
    ((1.0, 0.0, 0.2), 4.0),
    ((-1.0, 0.0, 0.15), 4.0),
    ((0.0, -1.0, 0.1), 3.0),  # ceiling
)
STONES = ((-1.6, 0.7, 5.2, 0.6), (0.4, 0.9, 5.8, 0.5), (1.9, -0.4, 6.0, 0.7))  # static balls: centre, radius
BALL_RADIUS = 0.75


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ToyScene:
    """T frames and N tracks, exactly; metres."""

    camera_to_world: np.ndarray  # float64 "T 4 4"
    local_points: np.ndarray  # float64 "T H W 3"
    tracks_world: np.ndarray  # float64 "T N 3"
    pixels: np.ndarray  # float64 "T N 2"
    visible: np.ndarray  # bool "T N"
    moving: np.ndarray  # bool "N"


def make_toy_scene(rng: np.random.Generator, *, num_frames: int, num_tracks: int, moving_share: float) -> ToyScene:
    """Draw a scene; tracks begin in frame 0, and a share of them on the two balls."""
    cameras = camera_path(rng, num_frames)
    balls = ball_paths(rng, num_frames)
    maps = np.stack([cast(cameras[t], balls[t], pixel_grid())[0] for t in range(num_frames)])
    first, body = starts(rng, cameras[0], balls[0], num_tracks, moving_share)
    world = np.repeat((cameras[0][:3, :3] @ first.T).T[None] + cameras[0][:3, 3], num_frames, axis=0)
    for number in (0, 1):
        on = body == number
        turn = Rotation.from_rotvec(0.05 * np.arange(num_frames)[:, None] * np.array([0.0, 1.0, 0.3]))
        arms = world[0, on] - balls[0, number]
        world[:, on] = np.stack([turn[t].apply(arms) + balls[t, number] for t in range(num_frames)])
    seen = (world - cameras[:, None, :3, 3]) @ cameras[:, :3, :3]
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    pixels = FOCAL * seen[..., :2] / np.maximum(seen[..., 2:], 0.05) + middle
    inside = ((pixels >= 0) & (pixels <= [WIDTH - 1, HEIGHT - 1])).all(-1) & (seen[..., 2] > 0.1)
    nearest = np.stack([cast(cameras[t], balls[t], pixels[t])[0][:, 2] for t in range(num_frames)])
    return ToyScene(
        camera_to_world=cameras,
        local_points=maps,
        tracks_world=world,
        pixels=pixels,
        visible=inside & (seen[..., 2] < nearest + 0.02),
        moving=body >= 0,
    )


def camera_path(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """A walk to the side and forwards with some sway, looking about: "T 4 4"."""
    time = np.linspace(0, 1, num_frames)
    side = rng.choice([-1.0, 1.0])
    sway = 0.15 * np.sin(2 * np.pi * (time[:, None] * rng.uniform(0.7, 1.5, 3) + rng.random(3)))
    centres = np.stack([side * 1.2 * (time - 0.5), 0.1 * time, 0.8 * time], axis=1) + sway
    angles = np.stack([0.05 * np.sin(5 * time), -side * 0.25 * (time - 0.5), 0.04 * np.sin(4 * time + 1)], axis=1)
    cameras = np.tile(np.eye(4), (num_frames, 1, 1))
    cameras[:, :3, :3] = Rotation.from_rotvec(angles).as_matrix()
    cameras[:, :3, 3] = centres
    return cameras


def ball_paths(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """Centres of the two movers, "T 2 3": each goes 1 to 1.6 m its own way."""
    start = np.array([[-0.9, 0.2, 3.6], [1.0, -0.2, 4.2]]) + rng.uniform(-0.15, 0.15, (2, 3))
    way = rng.normal(size=(2, 3)) * [1, 0.5, 0.8]
    way *= rng.uniform(1.0, 1.6, (2, 1)) / np.linalg.norm(way, axis=1, keepdims=True)
    return start + np.linspace(0, 1, num_frames)[:, None, None] * way


def pixel_grid() -> np.ndarray:
    """Centres of all pixels, "H W 2"."""
    return np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1).astype(np.float64)


def rays_of(pixels: np.ndarray) -> np.ndarray:
    """Directions with z = 1 in the camera, "... 3"."""
    offset = (pixels - [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]) / FOCAL
    return np.concatenate([offset, np.ones_like(offset[..., :1])], axis=-1)


def cast(camera: np.ndarray, balls: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What pixels "... 2" see: the point in the camera, "... 3", and on which mover, "..." (-1: none)."""
    rays = rays_of(pixels)
    world_rays, origin = rays @ camera[:3, :3].T, camera[:3, 3]
    depths = [plane_depth(world_rays, origin, np.array(normal), offset) for normal, offset in PLANES]
    depths += [ball_depth(world_rays, origin, np.array(stone[:3]), stone[3]) for stone in STONES]
    depths += [ball_depth(world_rays, origin, ball, BALL_RADIUS) for ball in balls]
    stacked = np.stack(depths)
    nearest = stacked.argmin(axis=0)
    return rays * stacked.min(axis=0)[..., None], np.where(nearest >= len(depths) - 2, nearest - len(depths) + 2, -1)


def plane_depth(rays: np.ndarray, origin: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """Along rays with z = 1 in the camera, so that what is returned is z."""
    towards = rays @ normal
    depth = (offset - origin @ normal) / np.where(np.abs(towards) < 1e-9, 1e-9, towards)
    return np.where(depth > 0, depth, np.inf)


def ball_depth(rays: np.ndarray, origin: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Likewise; infinite beside the ball."""
    a, b = (rays**2).sum(-1), rays @ (origin - centre)
    under = b**2 - a * (((origin - centre) ** 2).sum() - radius**2)
    depth = (-b - np.sqrt(np.maximum(under, 0))) / a
    return np.where((under > 0) & (depth > 0), depth, np.inf)


def starts(
    rng: np.random.Generator, camera: np.ndarray, balls: np.ndarray, num_tracks: int, moving_share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points that frame 0 sees, camera frame "N 3", and the mover that each is on, "N" (-1: none)."""
    places = rng.uniform([1, 1], [WIDTH - 2, HEIGHT - 2], (20 * num_tracks, 2))
    points, body = cast(camera, balls, places)
    num_moving = round(moving_share * num_tracks)
    chosen = np.concatenate([np.flatnonzero(body >= 0)[:num_moving], np.flatnonzero(body < 0)[: num_tracks - num_moving]])
    if len(chosen) < num_tracks:
        raise ValueError(f"only {len(chosen)} of {num_tracks} tracks found a place; ask for fewer, or fewer that move")
    return points[chosen], body[chosen]
