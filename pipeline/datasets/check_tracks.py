"""Measures of cameras, tracks and visibility against each other."""

import numpy as np

from pipeline.datasets.evidence import FEWEST, Evidence, Measurement, median_of
from pipeline.datasets.projection import NEAR_M, nearest, project, world_from_camera

_FEWEST_PAIRS = 200  # of each kind
_MOSTLY = 0.5  # of the points in the image are visible in any ordinary clip
_STANDS_STILL = 0.01  # of its distance: a point that moves less in the world is static
_CAMERA_MOVES = 0.05  # of the points' distance; below that, poses and their inverses are too alike to tell apart


def appearance_excess(evidence: Evidence) -> Measurement | None:
    """Mean change of colour along visible points over that along hidden ones, less 1; at least 0, and 0 where most points are visible.

    Colours are compared between neighbouring sampled frames. The two signs must come together: hidden points on a plain wall may keep
    their colour, and a clip may show a crowd; only where most points are said to be hidden, and these look the steadier, is it odd.
    """
    tracks, seen, hidden = evidence.tracks2d, evidence.seen, evidence.hidden
    if tracks is None or seen is None or hidden is None or evidence.depth is not None or len(tracks) < 2:
        return None
    colour = np.stack([nearest(evidence.frames[..., channel], tracks) for channel in range(3)], -1).astype(np.float64)
    change = np.abs(np.diff(colour, axis=0)).mean(axis=-1)
    of_seen, of_hidden = (change[kind[1:] & kind[:-1]] for kind in (seen, hidden))
    if min(of_seen.size, of_hidden.size) < _FEWEST_PAIRS:
        return None
    samples = int(of_seen.size + of_hidden.size)
    if seen.sum() > _MOSTLY * (seen.sum() + hidden.sum()):
        return Measurement(0.0, samples)
    return Measurement(max(float(of_seen.mean() / max(of_hidden.mean(), 1.0)) - 1, 0.0), samples)


def rotation_error(evidence: Evidence) -> Measurement | None:
    """Largest entry of R R' - I over all valid poses; 2 where a rotation mirrors."""
    if evidence.camera_to_world is None or not evidence.pose_valid.any():
        return None
    rotations = evidence.camera_to_world[evidence.pose_valid, :3, :3]
    error = float(np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max())
    return Measurement(max(error, 2.0 if (np.linalg.det(rotations) < 0).any() else 0.0), len(rotations))


def projection_error(evidence: Evidence) -> Measurement | None:
    """Median distance in pixels from the projection of tracks3d to tracks2d, over visible points (over all, if few are visible)."""
    if evidence.points is None or evidence.tracks2d is None or evidence.intrinsics is None or evidence.seen is None:
        return None
    chosen = evidence.seen if evidence.seen.sum() >= FEWEST or evidence.hidden is None else evidence.seen | evidence.hidden
    if evidence.points_world is not None and evidence.camera_to_world is not None:
        chosen = chosen & evidence.pose_valid[:, None]
    error = np.linalg.norm(project(evidence.points, evidence.intrinsics) - evidence.tracks2d, axis=-1)
    behind = evidence.points[..., 2] < NEAR_M
    return median_of(np.where(behind, float(max(evidence.size)), error)[chosen])


def static_wander(evidence: Evidence) -> Measurement | None:
    """Median over tracks of static surfaces: how far they get from their mean place in the world, as a share of their distance."""
    if evidence.dynamic_mask is None or evidence.tracks2d is None or evidence.seen is None or evidence.points is None:
        return None
    moving = nearest(evidence.dynamic_mask, evidence.tracks2d)
    static = ~(moving & evidence.seen).any(axis=0)
    if evidence.track_source == "reprojection":
        static = np.ones_like(static)
    wander = _wander(evidence, evidence.points_world if evidence.points_world is not None else _world(evidence))
    return None if wander is None else median_of(wander[static & np.isfinite(wander)])


def static_in_inverse(evidence: Evidence) -> Measurement | None:
    """Gain in the share of tracks that stand still in the world when every pose is inverted; at least 0.

    Measured where the camera moves. In most scenes much stands still; with poses the wrong way round nearly nothing does.
    """
    if evidence.camera_to_world is None or evidence.points is None or evidence.seen is None or not _camera_moves(evidence):
        return None
    given = _wander(evidence, world_from_camera(evidence.points, evidence.camera_to_world))
    other = _wander(evidence, world_from_camera(evidence.points, np.linalg.inv(evidence.camera_to_world)))
    if given is None or other is None or np.isfinite(given).sum() < FEWEST:
        return None
    shares = [float((wander[np.isfinite(wander)] < _STANDS_STILL).mean()) for wander in (given, other)]
    return Measurement(max(shares[1] - shares[0], 0.0), int(np.isfinite(given).sum()))


def _world(evidence: Evidence) -> np.ndarray | None:
    if evidence.points is None or evidence.camera_to_world is None:
        return None
    return world_from_camera(evidence.points, evidence.camera_to_world)


def _wander(evidence: Evidence, world: np.ndarray | None) -> np.ndarray | None:
    """ "N": largest distance of each track from its mean place over the frames where it is seen, by its mean distance; NaN below 2."""
    if world is None or evidence.seen is None or evidence.points is None:
        return None
    used = evidence.seen & evidence.pose_valid[:, None]
    count = used.sum(axis=0)
    mean = (world * used[..., None]).sum(axis=0) / np.maximum(count, 1)[:, None]
    distance = (np.linalg.norm(evidence.points, axis=-1) * used).sum(axis=0) / np.maximum(count, 1)
    away = np.where(used, np.linalg.norm(world - mean, axis=-1), 0).max(axis=0, initial=0)
    return np.where(count >= 2, away / np.maximum(distance, 1e-9), np.nan)


def _camera_moves(evidence: Evidence) -> bool:
    if evidence.camera_to_world is None or evidence.points is None or evidence.seen is None or evidence.pose_valid.sum() < 2:
        return False
    poses = evidence.camera_to_world[evidence.pose_valid]
    relative = np.linalg.inv(poses[0]) @ poses
    distance = np.median(np.linalg.norm(evidence.points[evidence.seen], axis=-1)) if evidence.seen.any() else np.inf
    turn = np.abs(relative[:, :3, :3] - np.eye(3)).max()
    return bool(turn > _CAMERA_MOVES or np.linalg.norm(relative[:, :3, 3], axis=-1).max() > _CAMERA_MOVES * distance)
