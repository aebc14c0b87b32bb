"""True tracks in normalised units: in each frame's camera, in the anchor's, and which of them stand still."""

import torch
from torch import Tensor

from trainer.geometry import invert_rigid, masked_median, transform_points
from trainer.losses.records import NormalisedTracks
from trainer.losses.settings import CouplingSettings


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
    """Where each track mostly is: per coordinate the median over the frames that see it, "B N 3"; 0 for a track never seen.

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
