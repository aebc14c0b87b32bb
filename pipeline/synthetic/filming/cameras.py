"""Camera motions of synthetic clips: walking, driving, orbiting, panning from the hand. Poses "T 4 4", camera to world, OpenCV axes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.motions import WalkPath, level_poses, walking_camera
from pipeline.synthetic.noise import drift
from pipeline.synthetic.worlds.objects import World


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """Operator of the camera: shake and speed."""

    shake_deg: float  # standard deviation of unsteady turning
    shake_m: float  # of unsteady moving
    speed: float  # factor on all speeds


def walk(world: World, times_s: np.ndarray, operator: Operator, rng: np.random.Generator) -> np.ndarray:
    """On foot towards where things happen, or backwards away from it."""
    bearing, away = _bearing(world.start, world.focus)
    speed = min(operator.speed * float(rng.uniform(0.7, 1.4)), 0.45 * away / max(times_s[-1], 0.5)) * (1 if rng.random() < 0.75 else -0.5)
    plan = WalkPath(
        start=(*world.start, float(rng.uniform(1.35, 1.75))),
        speed_m_s=speed,
        bob_m=0.02 + 0.5 * operator.shake_m,
        heading_deg=bearing + float(rng.normal(0, 5)),
        glance_deg=float(rng.uniform(2, 7)),
        pitch_deg=float(rng.uniform(-8, -2)),
        shake_deg=0.3 + 0.5 * operator.shake_deg,
    )
    return _on_ground(world, walking_camera(plan, times_s, rng=rng))


def drive(world: World, times_s: np.ndarray, operator: Operator, rng: np.random.Generator) -> np.ndarray:
    """From a car: fast, level, close to straight."""
    bearing, _ = _bearing(world.start, world.focus)
    speed = operator.speed * float(rng.uniform(2.5, 5.0))
    heading = np.radians(bearing) + 0.15 * float(rng.normal()) * times_s / 2
    ahead = np.stack([-np.sin(heading), np.cos(heading)], axis=-1)
    places = np.array(world.start) + speed * times_s[:, None] * ahead
    height = np.full(len(times_s), float(rng.uniform(1.2, 1.6)))
    angles = np.stack([np.degrees(heading), np.full(len(times_s), -3.0), np.zeros(len(times_s))])
    return _on_ground(world, level_poses(np.column_stack([places, height]), *angles))


def orbit(world: World, times_s: np.ndarray, operator: Operator, rng: np.random.Generator) -> np.ndarray:
    """On an arc around where things happen, looking at it."""
    away = np.array(world.start) - np.array(world.focus)
    rate = operator.speed * float(rng.uniform(0.10, 0.28)) * float(rng.choice([-1, 1]))
    angle = np.arctan2(away[1], away[0]) + rate * (times_s - times_s.mean())
    radius = np.linalg.norm(away) * (1 - 0.06 * float(rng.uniform(-1, 1)) * times_s)
    places = np.array(world.focus) + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    height = float(rng.uniform(1.3, 2.1)) + 0.1 * float(rng.uniform(-1, 1)) * times_s
    look = np.array(world.focus) - places
    pitch = np.degrees(np.arctan2(0.7 - height, np.linalg.norm(look, axis=1)))
    return _on_ground(world, level_poses(np.column_stack([places, height]), _yaw_deg(look), pitch, np.zeros(len(times_s))))


def pan(world: World, times_s: np.ndarray, operator: Operator, rng: np.random.Generator) -> np.ndarray:
    """From one spot, turning across the scene."""
    bearing, _ = _bearing(world.start, world.focus)
    rate = operator.speed * float(rng.uniform(4, 16)) * float(rng.choice([-1, 1]))
    yaw = bearing + rate * (times_s - times_s.mean())
    places = np.tile([*world.start, float(rng.uniform(1.3, 1.8))], (len(times_s), 1))
    places[:, 2] += 0.05 * times_s
    pitch = float(rng.uniform(-8, -2)) + 2 * drift(rng, times_s, period_s=3)
    return _on_ground(world, level_poses(places, yaw, pitch, np.zeros(len(times_s))))


CAMERAS: dict[str, Callable[[World, np.ndarray, Operator, np.random.Generator], np.ndarray]] = {
    "walk": walk,
    "drive": drive,
    "orbit": orbit,
    "pan": pan,
}


def add_shake(poses: np.ndarray, times_s: np.ndarray, operator: Operator, rng: np.random.Generator) -> np.ndarray:
    """Poses as an unsteady hand or a rough road makes them: turned and moved by smooth noise in the camera's own frame."""
    angles = np.stack([drift(rng, times_s, period_s=period) for period in (0.5, 0.6, 0.8)]) * operator.shake_deg
    shifts = np.stack([drift(rng, times_s, period_s=0.7) for _ in range(3)], axis=-1) * operator.shake_m
    unsteady = poses @ _small_turns(angles)
    unsteady[:, :3, 3] += np.einsum("tij,tj->ti", poses[:, :3, :3], shifts)
    return np.asarray(unsteady)


def _small_turns(angles_deg: np.ndarray) -> np.ndarray:
    """Turns "T 4 4" about the camera's x, y and z by `angles_deg` "3 T"."""
    level = level_poses(np.zeros((angles_deg.shape[1], 3)), np.zeros(angles_deg.shape[1]), *np.zeros((2, angles_deg.shape[1])))
    turned = level_poses(np.zeros((angles_deg.shape[1], 3)), angles_deg[1], angles_deg[0], 0.5 * angles_deg[2])
    return np.asarray(level.swapaxes(1, 2) @ turned)


def _on_ground(world: World, poses: np.ndarray) -> np.ndarray:
    """Poses whose heights count from the ground below, smoothed over what one takes in one's stride."""
    ground = world.ground(poses[:, :2, 3])
    trend = np.polyval(np.polyfit(np.arange(len(ground)), ground, 1), np.arange(len(ground))) if len(ground) > 2 else ground
    poses[:, 2, 3] += np.maximum(trend, ground - 0.3)
    return poses


def _bearing(start: tuple[float, float], focus: tuple[float, float]) -> tuple[float, float]:
    """Direction in degrees (0 along the world's y, positive to the left) and distance from start to focus."""
    look = np.array(focus) - np.array(start)
    return float(_yaw_deg(look[None])[0]), float(np.linalg.norm(look))


def _yaw_deg(look: np.ndarray) -> np.ndarray:
    return np.degrees(np.unwrap(np.arctan2(-look[:, 0], look[:, 1])))
