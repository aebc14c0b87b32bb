"""Weights of a clip's tracks, by trust for pseudo tracks and by visibility for true ones, and the draw of N tracks."""

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import DataError
from pipeline.records import ClipSample
from trainer.geometry import in_image


def visible_weights(sample: ClipSample, *, pseudo: bool) -> np.ndarray:
    """Weight of each track in each frame, float32 "T N" in [0, 1]; 0 where it is not visible within the image.

    Pseudo tracks count as their audit says; without one, as much as the labeler is confident where it sees them. True ones
    count 1 where they are seen.
    Raises: DataError, naming dataset and clip, without tracks, or for a weight that is not in [0, 1].
    """
    if sample.tracks2d is None or sample.visibility is None:
        raise DataError(f"{clip_name(sample)}: no tracks; check the label set or dataset that was asked for")
    tracks, visible = torch.from_numpy(sample.tracks2d), torch.from_numpy(sample.visibility)
    size = sample.frames.shape[1:3]
    if not pseudo:
        seen = visible & in_image(tracks, size)
        return (seen.numpy() & known_tracks(sample)).astype(np.float32)
    trust = sample.frame_weights
    if trust is None:
        trust = visible.float().numpy()
        trust = trust if sample.confidence is None else trust * sample.confidence
    if not ((trust >= 0) & (trust <= 1)).all():
        raise DataError(f"{clip_name(sample)}: weights of tracks leave [0, 1] or are NaN; run jobs/audit.py run again")
    return pseudo_track_weights(torch.from_numpy(trust), tracks, size).numpy()


def known_tracks(sample: ClipSample) -> np.ndarray:
    """Frames in which the positions of true tracks are known, bool "T N"."""
    assert sample.visibility is not None, "known_tracks needs tracks"
    return np.ones_like(sample.visibility) if sample.track_valid is None else sample.track_valid


def pseudo_start_weights(sample: ClipSample, weight: np.ndarray) -> np.ndarray:
    """Weight of each frame as a window's first one, float64 "T": the tracks' weight in frames with queries.

    A track is most certain at its query. Where no query lies within these frames, any frame may be the first.
    Raises: DataError if no track counts in any such frame.
    """
    asked = np.zeros(len(weight), bool)
    if sample.query_frame is not None:
        asked[sample.query_frame[sample.query_frame >= 0]] = True
    starts = weight.sum(1, dtype=np.float64) * (asked if asked.any() else 1)
    if not starts.any():
        raise DataError(
            f"{clip_name(sample)}: none of its {weight.shape[1]} pseudo tracks is trusted and in the image in a frame where tracks were"
            " asked; audit the label set (jobs/audit.py run), which leaves such clips out"
        )
    return starts


def true_start_weights(sample: ClipSample, weight: np.ndarray | None, usable: np.ndarray) -> np.ndarray:
    """As `pseudo_start_weights`, for a clip with truth: by its visible tracks, if it has any.

    Args:
        weight: float32 "T N", None for a clip without tracks.
        usable: bool "T": pose and depth are known.
    Raises: DataError if no frame is usable, or no track is ever in sight.
    """
    if not usable.any():
        raise DataError(
            f"{clip_name(sample)}: no frame has both a valid pose and a valid depth; drop the clip or convert its dataset again"
        )
    if weight is None:
        return usable.astype(np.float64)
    if not weight.any():
        raise DataError(
            f"{clip_name(sample)}: none of its {weight.shape[1]} tracks is ever visible in the image; convert its dataset again"
        )
    starts = weight.sum(1, dtype=np.float64) * usable
    return starts if starts.any() else usable.astype(np.float64)


def draw_tracks(preference: np.ndarray, num_tracks: int, draw: np.random.Generator) -> np.ndarray:
    """At most N tracks without repetition, each next one with a probability in proportion to its preference among those left.

    Args:
        preference: "M", 0 or more; a track of 0 is never drawn.
    Returns: int64, increasing.
    """
    candidates = np.flatnonzero(preference > 0)
    lateness = draw.standard_exponential(len(preference))[candidates] / preference[candidates]  # the first N arrivals of a race
    return np.sort(candidates[np.argsort(lateness, kind="stable")[:num_tracks]])


def clip_name(sample: ClipSample) -> str:
    """A clip's name in error messages."""
    return f"dataset {sample.dataset}, clip {sample.key}"


def pseudo_track_weights(trust: Tensor, pixels: Tensor, size: tuple[int, int], tracked_from: Tensor | None = None) -> Tensor:
    """w of the self-supervised losses: weights of the label set and its audit, 0 outside the image and before a forward-only track began.

    Args:
        trust: "B T N" in [0, 1]: weights of an audit, or visibility times confidence.
        pixels: "B T N 2". size: (height, width) of their raster.
        tracked_from: int "B N", the query's frame, where tracks go forward in time only; None: they go both ways.
    Returns: "B T N".
    Source: TrajVG eq. (8) takes the tracker's visibility; the rest is ours.
    """
    counts = in_image(pixels, size)
    if tracked_from is not None:
        frames = torch.arange(trust.shape[1], device=trust.device)
        counts = counts & (frames[:, None] >= tracked_from[:, None])
    return torch.where(counts, trust, 0)
