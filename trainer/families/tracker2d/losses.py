"""Losses of iterative 2D trackers: positions over all refinements of all windows, and the cross-entropies of both scores.

B clips, K iterations, W windows of S frames, N tracks. A window's loss is that of its own S frames, so a frame in two windows counts in
both. Positions are means over the places that count, decayed over the iterations and divided by K; scores are means over iterations;
both are means over windows. Source: training of CoTracker3 on real video (arXiv 2410.11831), whose batch is one clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.families.tracker2d.settings import TrackerSettings
from trainer.losses.penalties import huber


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WindowPrediction:
    """All refinements of one window."""

    start: int  # its first frame
    tracks_px: Tensor  # float32 "B K S N 2", (x, y)
    visibility_logits: Tensor  # float32 "B K S N"
    confidence_logits: Tensor  # float32 "B K S N"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackTargets:
    """Tracks to learn, true or labelled, over all T frames."""

    tracks_px: Tensor  # float32 "B T N 2", finite
    visible: Tensor  # bool "B T N"
    counted: Tensor  # bool "B T N": the position is known, and its frame counts
    weights: Tensor  # float32 "B N" in [0, 1]: factor of a track

    def of_window(self, start: int, num_frames: int) -> "TrackTargets":
        """The same tracks in the frames of one window."""
        frames = slice(start, start + num_frames)
        return TrackTargets(
            tracks_px=self.tracks_px[:, frames], visible=self.visible[:, frames], counted=self.counted[:, frames], weights=self.weights
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PositionTerms:
    """Losses of positions before their weights, "B" each, in pixels (visible: squared below the Huber limit)."""

    visible: Tensor
    occluded: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScoreTerms:
    """Losses of both scores before their weights, "B" each."""

    visibility: Tensor
    confidence: Tensor


def position_losses(windows: Sequence[WindowPrediction], targets: TrackTargets, settings: TrackerSettings) -> PositionTerms:
    """Visible and occluded positions: (1 / W K) sum over windows and iterations of gamma^(K - 1 - i) mean(w rho(p_i - p*)).

    rho is the mean over x and y of the Huber penalty (visible), or of the absolute difference (occluded, unless the settings say huber).
    The mean divides by the number of places that count, whatever their weights: with weights of 1 it is the recipe's.
    Gradient flows to positions of places that count.
    """
    visible, occluded = [], []
    for window in windows:
        num_iterations, num_frames = window.tracks_px.shape[1:3]
        wanted = targets.of_window(window.start, num_frames)
        counted, seen = wanted.counted[:, None], wanted.visible[:, None]
        # where nothing counts the residual is a constant 0, so that no far-off value of it reaches a gradient
        residual = torch.where(counted[..., None], window.tracks_px - wanted.tracks_px[:, None], 0)
        weights = wanted.weights[:, None, None]
        robust = huber(residual, settings.huber_px) / residual.shape[-1]
        hidden = robust if settings.occluded_penalty == "huber" else residual.abs().mean(dim=-1)
        decay = decays(num_iterations, settings.gamma, like=robust)
        visible.append((decay * mean_where(weights * robust, counted & seen)).mean(dim=1))
        occluded.append((decay * mean_where(weights * hidden, counted & ~seen)).mean(dim=1))
    return PositionTerms(visible=torch.stack(visible).mean(dim=0), occluded=torch.stack(occluded).mean(dim=0))


def score_losses(windows: Sequence[WindowPrediction], targets: TrackTargets, settings: TrackerSettings) -> ScoreTerms:
    """Binary cross-entropies of visibility, at all places that count, and of confidence, at the visible ones of them.

    Confidence is right to be high where the same iteration's position is within `confident_px` of the true one; that label is detached.
    """
    visibility, confidence = [], []
    for window in windows:
        wanted = targets.of_window(window.start, window.tracks_px.shape[2])
        counted, seen = wanted.counted[:, None], wanted.visible[:, None]
        weights = wanted.weights[:, None, None]
        near = (window.tracks_px.detach() - wanted.tracks_px[:, None]).norm(dim=-1) <= settings.confident_px
        of_visibility = cross_entropy(window.visibility_logits, seen.expand_as(window.visibility_logits))
        of_confidence = cross_entropy(window.confidence_logits, near)
        visibility.append(mean_where(weights * of_visibility, counted).mean(dim=1))
        confidence.append(mean_where(weights * of_confidence, counted & seen).mean(dim=1))
    return ScoreTerms(visibility=torch.stack(visibility).mean(dim=0), confidence=torch.stack(confidence).mean(dim=0))


def mean_where(values: Tensor, counted: Tensor) -> Tensor:
    """Mean over frames and tracks of the places that count; 0 where none does.

    Args:
        values: "B K S N". counted: bool "B 1 S N".
    Returns: "B K".
    """
    return torch.where(counted, values, 0).sum(dim=(2, 3)) / counted.sum(dim=(2, 3)).clamp_min(1)


def decays(num_iterations: int, gamma: float, *, like: Tensor) -> Tensor:
    """Weights of K iterations, "K": 1 of the last, of each before gamma times that of the next."""
    steps = torch.arange(num_iterations - 1, -1, -1, device=like.device, dtype=like.dtype)
    return gamma**steps


def cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy of each logit with a bool of the same shape."""
    return F.binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype), reduction="none")
