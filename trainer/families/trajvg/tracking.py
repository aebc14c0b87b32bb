"""The tracker's losses on clips with true 3D tracks, and those tracks in normalised units.

TrajVG names only "trajectory labels"; the form is CoTracker3's, the choices ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import DataError
from trainer.families.trajvg.settings import CouplingSettings, TrackingSettings
from trainer.geometry import invert_rigid, masked_median, transform_points
from trainer.losses.alignment import depth_weights
from trainer.losses.penalties import huber
from trainer.losses.records import check_floats, check_mask


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NormalisedTracks:
    """True 3D positions of those N points in the clip's normalised unit; made by `normalise_tracks`. Unknown ones are 0."""

    camera_points: Tensor  # "B T N 3", in the camera of each frame: p*
    anchor_points: Tensor  # "B T N 3", in the anchor's camera: p-bar
    track_valid: Tensor  # bool "B T N": the position is known
    visibility: Tensor  # bool "B T N"; what is visible is known
    static: Tensor  # bool "B T N": m

    def __post_init__(self) -> None:
        shape = tuple(self.track_valid.shape)
        for name in ("camera_points", "anchor_points"):
            check_floats(name, getattr(self, name), (*shape, 3))
        for name in ("track_valid", "visibility", "static"):
            check_mask(name, getattr(self, name), shape)


def normalise_tracks(
    tracks3d_world: Tensor, camera_to_world: Tensor, visibility: Tensor, *, norm: Tensor, tau: Tensor, anchor: int = 0
) -> NormalisedTracks:
    """True tracks in each frame's camera and in the anchor's.

    Args:
        tracks3d_world: "B T N 3", X*, in the world of the cameras; not finite where unknown.
        camera_to_world: "B T 4 4", C*, in the unit of the tracks.
        visibility: bool "B T N"; counts where the position is known.
        norm: "B", the normalised unit in the tracks' unit (`NormalisedTruth.norm`).
        tau: "B", see `static_tau`.
        anchor: x.
    """
    known = tracks3d_world.isfinite().all(dim=-1)
    visibility = visibility & known
    world = torch.where(known[..., None], tracks3d_world, 0)
    from_world = invert_rigid(camera_to_world)
    unit = norm[:, None, None, None]
    in_camera = transform_points(from_world, world) / unit
    in_anchor = transform_points(from_world[:, anchor, None], world) / unit
    return NormalisedTracks(
        camera_points=torch.where(known[..., None], in_camera, 0),
        anchor_points=torch.where(known[..., None], in_anchor, 0),
        track_valid=known,
        visibility=visibility,
        static=static_mask(in_anchor, visibility, tau) & known,
    )


def static_reference(anchor_points: Tensor, visible: Tensor) -> Tensor:
    """Median position of each track: per coordinate the median over the frames that see it, "B N 3"; 0 for a track never seen.

    Args:
        anchor_points: "B T N 3", in one common frame. visible: bool "B T N".
    """
    over_time = anchor_points.permute(0, 2, 3, 1)
    return masked_median(over_time, visible.mT[:, :, None].expand_as(over_time))


def static_mask(anchor_points: Tensor, visible: Tensor, tau: Tensor) -> Tensor:
    """m = 1 where a track is nearer than tau to its median place, bool "B T N"; 0 for a track never seen.

    Args:
        anchor_points: "B T N 3". visible: bool "B T N". tau: "B", in the points' unit.
    Source: TrajVG's static mask in its robust form (median over time, anchor camera); the value of tau is ours.
    """
    away = (anchor_points - static_reference(anchor_points, visible)[:, None]).norm(dim=-1)
    return (away < tau[:, None, None]) & visible.any(dim=1, keepdim=True)


def static_tau(norm: Tensor, is_metric: Tensor, settings: CouplingSettings) -> Tensor:
    """The threshold of the static mask in normalised units, "B": a length in metres where the data are, else a share of the scene's size.

    Args:
        norm: "B", the normalised unit in the source's unit. is_metric: bool "B".
    """
    return torch.where(is_metric, settings.static_tau_m / norm, settings.static_tau_relative)


_NEAREST_DEPTH = 0.1  # of the frame's mean depth: nearer points weigh no more; as for π³'s points


def track_loss(iterations: Sequence[Tensor], truth: NormalisedTracks, *, scale: Tensor, settings: TrackingSettings) -> Tensor:
    """L_trk = 1/K sum over k of gamma^(K-k) times the mean error of s* p^(k) over known points and coordinates.

    Args:
        iterations: K times "B T N 3", camera frame, the network's unit; the last is the best.
        truth: in normalised units.
        scale: "B", from the network's unit to the normalised one (`AlignedGeometry.scale`); detached here.
    Returns:
        "B"; 0 for a clip that knows no point. Gradient flows to all iterations.
    Raises: DataError without iterations, or of another shape than the truth.
    """
    if not iterations or any(tracks.shape != truth.camera_points.shape for tracks in iterations):
        raise DataError(
            f"predicted tracks are {[list(tracks.shape) for tracks in iterations]}, true ones {list(truth.camera_points.shape)};"
            " one tensor per iteration is expected"
        )
    weight = torch.where(truth.visibility, 1.0, settings.occluded_weight) * truth.track_valid
    relative = depth_weights(truth.camera_points[..., 2], truth.track_valid, _NEAREST_DEPTH) if settings.depth_weighted else 1
    errors = []
    for tracks in iterations:
        difference = torch.where(truth.track_valid[..., None], tracks * scale.detach()[:, None, None, None] - truth.camera_points, 0)
        size = difference.abs().sum(-1) if settings.huber is None else huber(difference, settings.huber)
        errors.append(_mean(relative * size / 3, weight))
    return _over_iterations(errors, settings.gamma)


def visibility_loss(logits: Sequence[Tensor], visible: Tensor, known: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of visibility, mean over iterations and over what is known, "B".

    Args:
        logits: K times "B T N". visible: bool "B T N"; a visibility score in [0, 1] is a target too.
        known: bool "B T N"; None takes all.
    """
    target = visible.to(logits[0].dtype)
    weight = torch.ones_like(target) if known is None else known.to(target.dtype)
    losses = [_mean(F.binary_cross_entropy_with_logits(each, target, reduction="none"), weight) for each in logits]
    return torch.stack(losses).mean(0)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum(dim=(1, 2))
    return torch.where(weight > 0, weight * values, 0).sum(dim=(1, 2)) / torch.where(total > 0, total, 1)


def _over_iterations(losses: Sequence[Tensor], gamma: float) -> Tensor:
    last = len(losses) - 1
    return torch.stack([gamma ** (last - k) * loss for k, loss in enumerate(losses)]).mean(0)
