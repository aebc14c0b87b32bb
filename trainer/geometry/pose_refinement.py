"""Test-time refinement of poses: windows of a clip each by itself, joined, then all frames together (Track4World, appendix F)."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.metrics.similarity import umeyama
from trainer.geometry.cameras import transform_points
from trainer.geometry.pose_energy import PoseSystem, StaticTracks, frame_errors, moved_poses, pose_energy, pose_system

_START_DAMPING, _MOST_DAMPING = 1e-4, 1e8
_EASES, _STIFFENS = 0.25, 8.0  # the damping, after a step that lowers the energy, and after one that does not
_SMALLEST = 1e-12
_NOTHING = 1e-9  # squared pixels, of all observations together


@dataclass(frozen=True, kw_only=True, slots=True)
class RefinementSettings:
    """Settings of a refinement; the paper's own numbers are not published."""

    huber_px: float = 1.5  # reprojection error from which the penalty is linear
    window: int = 24  # frames that are refined by themselves first
    overlap: int = 8  # frames that neighbouring windows share, at least
    frame_scales: bool = False  # also a factor of each frame's depth, against the first frame's
    fewest_tracks: int = 12  # static tracks that two frames must share to hold each other
    iterations: int = 50  # of Levenberg-Marquardt, at most
    tolerance: float = 1e-6  # stop where a step lowers the energy by less than this share of it

    def __post_init__(self) -> None:
        for name, least in (("window", 2), ("overlap", 1), ("fewest_tracks", 4), ("iterations", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"--{name.replace('_', '-')} is {getattr(self, name)}, expected at least {least}")
        if self.overlap >= self.window:
            raise ConfigError(f"--overlap is {self.overlap}, expected below --window, which is {self.window}")
        if not self.huber_px > 0:
            raise ConfigError(f"--huber-px is {self.huber_px}, expected above 0")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Refinement:
    """Refined poses of T frames."""

    poses: Tensor  # "T 4 4", world to camera; similarities with frame scales
    energies: tuple[float, ...]  # at the start and after every step of the last pass: each is lower than the one before
    errors_px: tuple[Tensor, Tensor]  # median reprojection error of each frame, before and after, "T" each; NaN where not measured
    held: Tensor  # bool "T": frames that took part; others were carried along with the nearest of these


def refine_clip(tracks: StaticTracks, start: Tensor, settings: RefinementSettings) -> Refinement | None:
    """Refine the poses of a clip. The first frame that takes part keeps its pose; so the world stays.

    Frames take part if they share enough tracks, directly or by way of others, with most of the clip. The others keep their motion from
    the nearest frame that does.

    Args:
        start: "T 4 4", world to camera, rigid, in the unit of the tracks' points.
    Returns: None if fewer than two frames share enough tracks.
    """
    held = connected_frames(tracks, settings.fewest_tracks)
    if int(held.sum()) < 2:
        return None
    own, before = tracks.of_frames(held), start[held]
    joined = _refined_by_windows(own, before, settings)
    if pose_energy(own, joined, settings.huber_px) > pose_energy(own, before, settings.huber_px):
        joined = before
    refined, energies = minimise(own, joined, settings)
    poses = start.clone()
    poses[held] = refined
    errors = frame_errors(tracks, start)
    return Refinement(
        poses=_carried_along(poses, start, held),
        energies=energies,
        errors_px=(errors, _placed(frame_errors(own, refined), held)),
        held=held,
    )


def minimise(tracks: StaticTracks, start: Tensor, settings: RefinementSettings) -> tuple[Tensor, tuple[float, ...]]:
    """Poses "T 4 4" of least energy from a start, by Levenberg-Marquardt; the first frame's stays.

    A step that does not lower the energy is refused, and tried again with more damping.

    Returns: poses, and the energies at the start and after every step.
    """
    poses, damping = start, _START_DAMPING
    system = pose_system(tracks, poses, settings.huber_px, with_scales=settings.frame_scales)
    energies = [system.energy]
    for _ in range(settings.iterations):
        better = None
        while better is None and damping < _MOST_DAMPING:
            trial = moved_poses(poses, _step(system, damping))
            energy = pose_energy(tracks, trial, settings.huber_px)
            better = (trial, energy) if energy < energies[-1] else None
            damping = max(damping * _EASES, _SMALLEST) if better else damping * _STIFFENS
        if better is None:
            break
        poses = better[0]
        energies.append(better[1])
        if energies[-2] - energies[-1] <= settings.tolerance * energies[-2] or energies[-1] < _NOTHING:
            break
        system = pose_system(tracks, poses, settings.huber_px, with_scales=settings.frame_scales)
    return poses, tuple(energies)


def connected_frames(tracks: StaticTracks, fewest: int) -> Tensor:
    """The largest set of frames that hold each other by so many shared tracks, directly or by way of others: bool "T"."""
    shared = tracks.shared().fill_diagonal_(0)
    _, group = connected_components(csr_matrix((shared >= fewest).numpy()), directed=False)
    return torch.from_numpy(group == np.bincount(group).argmax())


def window_bounds(num_frames: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """First frame and end of the windows of a clip; the last one is moved back, so that it is as long as the others."""
    if num_frames <= window:
        return [(0, num_frames)]
    starts = [*range(0, num_frames - window, window - overlap), num_frames - window]
    return [(start, start + window) for start in starts]


def _refined_by_windows(tracks: StaticTracks, start: Tensor, settings: RefinementSettings) -> Tensor:
    """Poses from windows, each refined by itself and brought into the world of those before."""
    bounds = window_bounds(len(start), settings.window, settings.overlap)
    if len(bounds) == 1:
        return start
    joined = start.clone()
    done = 0
    for first, end in bounds:
        poses, _ = minimise(tracks.of_frames(slice(first, end)), start[first:end], settings)
        if done:
            shared = slice(first, done)
            poses = poses @ _between_worlds(
                tracks.of_frames(shared), joined[shared], poses[: done - first], with_scale=settings.frame_scales
            )
        joined[done:end] = poses[done - first :]
        done = end
    return joined


def _between_worlds(tracks: StaticTracks, before: Tensor, after: Tensor, *, with_scale: bool) -> Tensor:
    """Similarity "4 4" from the world of the poses before to that of the poses after, of the frames that both have.

    By Umeyama's fit to the points of these frames in both worlds; rigid where depth gives both worlds one scale. Where the points do not
    determine it, by the first shared frame's two poses.
    """
    known = tracks.lifted & (tracks.weights > 0)
    source, target = (transform_points(torch.linalg.inv(poses), tracks.points)[known].numpy() for poses in (before, after))
    fit = umeyama(source, target, with_scale=with_scale)
    if fit.degenerate is not None or not fit.scale > 0:
        return torch.linalg.inv(after[0]) @ before[0]
    found = torch.eye(4, dtype=before.dtype)
    found[:3, :3] = torch.from_numpy(fit.scale * fit.rotation)
    found[:3, 3] = torch.from_numpy(fit.translation)
    return found


def _step(system: PoseSystem, damping: float) -> Tensor:
    """The damped step "T D" of all frames but the first."""
    num_frames, degrees = system.gradient.shape
    gradient = system.gradient[1:].flatten()
    hessian = system.hessian[1:, :, 1:].flatten(0, 1).flatten(1)
    scale = hessian.diagonal().clamp_min(_SMALLEST)
    step = -torch.linalg.solve_ex(hessian + torch.diag(damping * scale), gradient)[0].nan_to_num(0.0)
    return torch.cat([step.new_zeros(1, degrees), step.unflatten(0, (num_frames - 1, degrees))])


def _carried_along(poses: Tensor, start: Tensor, held: Tensor) -> Tensor:
    """Poses of frames that took no part: moved from the nearest frame that did as they were at the start."""
    taking_part = held.nonzero()[:, 0]
    carried = poses.clone()
    for frame in (~held).nonzero()[:, 0].tolist():
        nearest = int(taking_part[(taking_part - frame).abs().argmin()])
        carried[frame] = start[frame] @ torch.linalg.inv(start[nearest]) @ poses[nearest]
    return carried


def _placed(values: Tensor, held: Tensor) -> Tensor:
    placed = torch.full(held.shape, torch.nan, dtype=values.dtype)
    placed[held] = values
    return placed


def rigid_camera_to_world(poses: Tensor) -> Tensor:
    """Rigid camera-to-world poses of world-to-camera similarities "T 4 4": the scale is the depth's, camera centres stay."""
    back = torch.linalg.inv(poses)
    rotation = back[:, :3, :3]
    left, _, right = torch.linalg.svd(rotation)  # the nearest rotation: rounding of many products is taken out
    back[:, :3, :3] = left @ right
    return back
