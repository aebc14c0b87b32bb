"""Measures of depth against tracks, and against itself from another frame."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from pipeline.datasets.evidence import FEWEST, Evidence, Measurement, median_of
from pipeline.datasets.projection import NEAR_M, camera_from_world, inside, nearest, project, unproject, world_from_camera

_TOLERANCE_M, _TOLERANCE = 0.05, 0.02  # a point within the larger of 5 cm and 2 % of the depth lies on the seen surface
_GRID = 24  # points along the longer side of the image, for depth between views
_FEWEST_PIXELS = 50
_MOVES = 0.08  # of the depth: where the camera moves less, poses are not told from none
_OFF = 0.05  # of the depth: a point so far behind the surface seen there may be hidden by it; in front of it there should be none
_RARELY = 4.0  # points behind are believed to be hidden where they are so many times those in front: wrong poses make both alike
_SHARP = 0.5  # a shift fits far better if it divides the error by two or more ...
_NOTABLE = 5e-4  # ... and the error without it is at least this share of the depth


def on_surface(z: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Whether points at `z` lie on the surface seen at `depth`: |z - depth| < max(5 cm, 2 %)."""
    return np.asarray((depth > 0) & (np.abs(z - depth) < np.maximum(_TOLERANCE_M, _TOLERANCE * depth)))


def depth_at_tracks(evidence: Evidence) -> Measurement | None:
    """Median of |z - depth| / z at visible tracks, depth of the pixel on which each falls."""
    if evidence.points is None or evidence.depth is None or evidence.tracks2d is None or evidence.seen is None:
        return None
    if evidence.track_source == "reprojection":  # made from this depth: it cannot disagree
        return None
    depth, z = nearest(evidence.depth, evidence.tracks2d), evidence.points[..., 2]
    used = evidence.seen & (depth > 0)
    return median_of(np.abs(z - depth)[used] / np.maximum(np.abs(z[used]), NEAR_M))


def hidden_at_surface(evidence: Evidence) -> Measurement | None:
    """Share of hidden points that lie on the seen surface, less that of visible ones; with fewer than 20 visible, theirs is 0."""
    if evidence.points is None or evidence.depth is None or evidence.tracks2d is None:
        return None
    if evidence.track_source == "reprojection" or evidence.seen is None or evidence.hidden is None:
        return None
    depth = nearest(evidence.depth, evidence.tracks2d)
    agrees = on_surface(evidence.points[..., 2], depth)
    seen, hidden = evidence.seen & (depth > 0), evidence.hidden & (depth > 0)
    if hidden.sum() < FEWEST:
        return None
    of_seen = float(agrees[seen].mean()) if seen.sum() >= FEWEST else 0.0
    return Measurement(float(agrees[hidden].mean()) - of_seen, int(seen.sum() + hidden.sum()))


def subpixel_offset(evidence: Evidence) -> Measurement | None:
    """Length of the shift of tracks, among half-pixel steps, that fits the depth's slopes far better than none; 0 if none does."""
    if evidence.points is None or evidence.depth is None or evidence.tracks2d is None or evidence.seen is None:
        return None
    if evidence.track_source == "reprojection":
        return None
    z = evidence.points[..., 2]
    errors: dict[tuple[float, float], float] = {}
    samples = 0
    for shift in product((0.0, -0.5, 0.5), (0.0, -0.5, 0.5)):
        depth = _bilinear(evidence.depth, evidence.tracks2d + shift)
        used = evidence.seen & (depth > 0)
        if used.sum() < FEWEST:
            return None
        errors[shift] = float(np.median(np.abs(z - depth)[used] / depth[used]))
        samples = max(samples, int(used.sum()))
    best = min(errors, key=lambda shift: errors[shift])
    unshifted = errors[0.0, 0.0]
    offset = float(np.hypot(*best)) if unshifted > _NOTABLE and errors[best] < _SHARP * unshifted else 0.0
    return Measurement(offset, samples)


def depth_between_views(evidence: Evidence) -> Measurement | None:
    """Median of |z - depth| / depth of static pixels carried into another frame by depth, cameras and poses.

    Points behind the surface seen there are left out as hidden, which in views from far apart most are, unless too many lie in front.
    """
    errors = _errors_between_views(evidence)
    if errors is None:
        return None
    in_front, behind = (errors < -_OFF).sum(), (errors > _OFF).sum()
    believed = behind > _RARELY * in_front
    return median_of(np.abs(errors[errors <= _OFF] if believed else errors), fewest=_FEWEST_PIXELS)


def motion_unexplained(evidence: Evidence) -> Measurement | None:
    """That median as a share of what it would be if the camera had stood still; measured where standing still is 8 % off or more."""
    with_poses = depth_between_views(evidence)
    if evidence.camera_to_world is None or with_poses is None:
        return None
    standing = np.tile(np.eye(4), (len(evidence.camera_to_world), 1, 1))
    errors = _errors_between_views(replace(evidence, camera_to_world=standing))
    still = None if errors is None else median_of(np.abs(errors), fewest=_FEWEST_PIXELS)
    if still is None or still.figure < _MOVES:
        return None
    return Measurement(with_poses.figure / still.figure, with_poses.samples)


def _errors_between_views(evidence: Evidence) -> np.ndarray | None:
    """Errors "K", positive behind the surface, of pixels carried from each of some frames to a later one and back."""
    valid = np.flatnonzero(evidence.pose_valid)
    if evidence.depth is None or evidence.intrinsics is None or evidence.camera_to_world is None or len(valid) < 2:
        return None
    views = _Views(evidence.depth, evidence.intrinsics, evidence.camera_to_world, evidence.dynamic_mask)
    steps = {max(1, len(valid) // 3), max(1, 2 * len(valid) // 3)}
    pairs = [(valid[start], valid[start + step]) for step in sorted(steps) for start in (0, len(valid) // 2) if start + step < len(valid)]
    return np.concatenate([_carried(views, int(start), int(end)) for pair in pairs for start, end in (pair, pair[::-1])])


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """T frames with all that carries a pixel of one into another."""

    depth: np.ndarray  # "T H W"
    intrinsics: np.ndarray  # "T 3 3"
    camera_to_world: np.ndarray  # "T 4 4"
    dynamic_mask: np.ndarray | None  # bool "T H W"


def _carried(views: _Views, start: int, end: int) -> np.ndarray:
    """Relative errors (z - depth) / depth "K" of a grid of the pixels of frame `start`, seen from frame `end`."""
    height, width = views.depth.shape[1:]
    here, there = slice(start, start + 1), slice(end, end + 1)
    step = max(1, max(height, width) // _GRID)
    grid = np.stack(np.meshgrid(np.arange(step // 2, width, step), np.arange(step // 2, height, step)), -1).reshape(1, -1, 2)
    depth = nearest(views.depth[here], grid)
    used = depth[0] > 0
    if views.dynamic_mask is not None:
        used &= ~nearest(views.dynamic_mask[here], grid)[0]
    points = unproject(grid[:, used].astype(np.float64), depth[:, used], views.intrinsics[here])
    moved = camera_from_world(world_from_camera(points, views.camera_to_world[here]), views.camera_to_world[there])
    pixels = project(moved, views.intrinsics[there])
    z, found = moved[..., 2], nearest(views.depth[there], pixels)
    counted = inside(pixels, (height, width)) & (z > NEAR_M) & (found > 0)
    return np.asarray((z - found)[counted] / found[counted])


def _bilinear(depth: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Depth "T N" between its pixels; 0 near the border, at invalid pixels, and across edges (5 % between neighbours)."""
    height, width = depth.shape[1:]
    left, top = np.floor(pixels[..., 0]).astype(np.int64), np.floor(pixels[..., 1]).astype(np.int64)
    within = (left >= 0) & (top >= 0) & (left < width - 1) & (top < height - 1)
    x0, y0 = np.clip(left, 0, width - 2), np.clip(top, 0, height - 2)
    frame = np.arange(len(depth))[:, None]
    corners = np.stack([depth[frame, y0 + dy, x0 + dx] for dy in (0, 1) for dx in (0, 1)]).astype(np.float64)
    fx, fy = pixels[..., 0] - left, pixels[..., 1] - top
    mixed = (corners[0] * (1 - fx) + corners[1] * fx) * (1 - fy) + (corners[2] * (1 - fx) + corners[3] * fx) * fy
    smooth = (corners.min(axis=0) > 0) & (np.ptp(corners, axis=0) < 0.05 * corners.max(axis=0))
    return np.where(within & smooth, mixed, 0.0)
