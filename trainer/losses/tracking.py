"""Losses of the tracker on clips with true 3D tracks. TrajVG names only "trajectory labels"; the form is CoTracker3's, the choices ours."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import DataError
from trainer.losses.huber import huber
from trainer.losses.normalisation import depth_weights
from trainer.losses.records import NormalisedTracks
from trainer.losses.settings import TrackingSettings

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
