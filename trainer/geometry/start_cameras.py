"""What a refinement of poses begins with, where something is unknown: the unit of the poses, the focal length, some frames' poses."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from trainer.geometry.cameras import transform_points
from trainer.geometry.pnp import PoseProblem, pinhole_matrix, solve_poses
from trainer.geometry.pose_energy import StaticTracks, pose_energy
from trainer.geometry.pose_refinement import RefinementSettings, minimise
from trainer.geometry.static_tracks import lift_pixels

_FRAMES, _TRACKS = 10, 100  # that the search looks at, at most
_UNITS = np.geomspace(1e-2, 1e2, 33)  # of the guess that a camera's path is as long as things are far away
_FOCALS = np.geomspace(0.4, 4, 11)  # in half diagonals of the image: angles of view of 136 to 28 degrees
_STEPS = 8  # of refinement, before a focal length is judged
_FEWEST_POINTS = 6


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StartCameras:
    """Cameras of T frames, and the points that depth gives through them."""

    tracks: StaticTracks
    poses: Tensor  # "T 4 4", world to camera, in the unit of depth


def fit_unit(start: StartCameras, *, huber_px: float) -> StartCameras:
    """The start with its translations times the one factor at which the reprojection energy is least: in the unit of depth.

    A start whose cameras are all in one place stays.
    """
    path = _path_length(start.poses)
    if not path > 0 or not bool(start.tracks.lifted.any()):
        return start
    few = _thinned(start)
    guess = float(start.tracks.points[..., 2][start.tracks.lifted].median()) / path

    def energy(logarithm: float) -> float:
        return pose_energy(few.tracks, _in_unit(few.poses, math.exp(logarithm)), huber_px)

    return replace(start, poses=_in_unit(start.poses, math.exp(_least(energy, np.log(guess * _UNITS)))))


def fit_focal(start: StartCameras, *, size: tuple[int, int], settings: RefinementSettings, with_unit: bool) -> StartCameras:
    """The start with the focal length at which the reprojection energy is least once a few steps have refined the poses.

    One focal length for the clip, with square pixels and the principal point in the middle, as Track4World recovers it from point maps;
    here there are none, only depth. Sideways motion alone does not determine it: then the answer is one of many that fit.

    Args:
        start: its intrinsics play no part.
        size: (H, W) of the image.
        with_unit: also fit the unit of the poses, as `fit_unit` does.
    """
    few = _thinned(start)
    few_steps = replace(settings, iterations=_STEPS)

    def with_focal(whole: StartCameras, logarithm: float) -> StartCameras:
        found = replace(whole, tracks=_with_focal(whole.tracks, math.exp(logarithm), size))
        return fit_unit(found, huber_px=settings.huber_px) if with_unit else found

    def energy(logarithm: float) -> float:
        tried = with_focal(few, logarithm)
        return minimise(tried.tracks, tried.poses, few_steps)[1][-1]

    return with_focal(start, _least(energy, np.log(_FOCALS)))


def find_missing_poses(start: StartCameras, valid: Tensor, *, size: tuple[int, int]) -> tuple[StartCameras, Tensor]:
    """Poses of frames that have none, by robust PnP from the points that frames with poses know; the rest stays.

    Args:
        valid: bool "T": frames with poses.
        size: (H, W) of the image.
    Returns: the start, and the frames that have a pose now, bool "T": those with fewer than six such points have none.
    """
    tracks, missing = start.tracks, (~valid).nonzero()[:, 0].tolist()
    known = tracks.lifted & valid[:, None]
    world = transform_points(torch.linalg.inv(start.poses), tracks.points).masked_fill(~known[..., None], torch.nan)
    place = world.nanmedian(dim=0).values
    poses, found = start.poses.clone(), valid.clone()
    for frame in missing:
        usable = tracks.seen[frame] & known.any(0) & (tracks.weights > 0)
        if int(usable.sum()) < _FEWEST_POINTS:
            continue
        problem = PoseProblem(
            points=place[usable][None],
            pixels=tracks.pixels[frame, usable][None],
            weights=torch.ones(1, int(usable.sum()), dtype=torch.float64),
            intrinsics=tracks.intrinsics[frame],
            bounds=(float(size[1]), float(size[0])),
        )
        solution = solve_poses(problem)
        if not bool(solution.failed[0]):
            poses[frame], found[frame] = solution.world_to_camera[0], True
    return replace(start, poses=poses), found


def centred_pinhole(focal: float, size: tuple[int, int]) -> Tensor:
    """Intrinsics "3 3" of a focal length in half diagonals of an image of (H, W): square pixels, principal point in the middle."""
    height, width = size
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
    return pinhole_matrix(torch.tensor(focal * math.hypot(width, height) / 2, dtype=torch.float64), middle)


def _least(energy: Callable[[float], float], grid: np.ndarray) -> float:
    """Place of the least energy: on a grid, then by Brent's method between the neighbours of its best place."""
    best = int(np.argmin([energy(float(place)) for place in grid]))
    bounds = (float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)]))
    return float(minimize_scalar(energy, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x)


def _with_focal(tracks: StaticTracks, focal: float, size: tuple[int, int]) -> StaticTracks:
    intrinsics = centred_pinhole(focal, size).expand(len(tracks.pixels), 3, 3).contiguous()
    return replace(tracks, intrinsics=intrinsics, points=lift_pixels(tracks.pixels, tracks.points[..., 2], intrinsics))


def _in_unit(poses: Tensor, unit: float) -> Tensor:
    scaled = poses.clone()
    scaled[:, :3, 3] *= unit
    return scaled


def _path_length(poses: Tensor) -> float:
    """Largest distance of a camera from the first."""
    centres = torch.linalg.inv(poses)[:, :3, 3]
    return float((centres - centres[0]).norm(dim=-1).max())


def _thinned(start: StartCameras) -> StartCameras:
    """Some of the frames, evenly spread, and of the tracks those that most of these see."""
    num_frames = len(start.poses)
    frames = torch.linspace(0, num_frames - 1, min(num_frames, _FRAMES)).round().long()
    tracks = start.tracks.of_frames(frames)
    often = (tracks.lifted.sum(0) * (tracks.weights > 0)).argsort(descending=True, stable=True)[:_TRACKS]
    chosen = {name: getattr(tracks, name)[:, often] for name in ("points", "pixels", "lifted", "seen")}
    return StartCameras(tracks=replace(tracks, **chosen, weights=tracks.weights[often]), poses=start.poses[frames])
