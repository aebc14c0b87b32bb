"""The online model's sliding window: 16 frames, moved by 8, each window starting from the predictions of the one before."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from networks.cotracker3.network import CoTracker3
from networks.cotracker3.refinement import Stretch, TrackState, last, refine

STEP = 8
WINDOW = 2 * STEP


def online_windows(model: CoTracker3, stretch: Stretch, rest: TrackState, *, query_frames: Tensor, iterations: int) -> Iterator[TrackState]:
    """Slide over a whole video whose features are at hand. Yields all predictions so far, "B N T", after each window.

    A window that reaches beyond the last frame sees that frame repeated; what is predicted there is dropped.

    Args:
        rest: every point at its query, over T frames.
        query_frames: int64 "B N".
    """
    num_frames = rest.cells.shape[2]
    found = TrackState(torch.zeros_like(rest.cells), torch.zeros_like(rest.visibility), torch.zeros_like(rest.confidence))
    for start in range(0, max(num_frames - STEP, 1), STEP):
        steps = torch.arange(start, start + WINDOW, device=stretch.rows.device).clamp_max(num_frames - 1)
        window = replace(stretch, rows=stretch.rows[:, steps], patches=seen_patches(stretch.patches, query_frames < start + WINDOW))
        fresh = TrackState.at_rest(rest.cells[:, :, 0], WINDOW)
        state = carry_over(found, start, fresh, carried=query_frames < start + STEP) if start else fresh
        found = written(found, start, last(refine(model, window, state, iterations=iterations)))
        yield found


def seen_patches(patches: tuple[Tensor, ...], seen: Tensor) -> tuple[Tensor, ...]:
    """Patches of points that are not seen yet ("B N" False) are zero: they correlate with nothing."""
    return tuple(patch * seen[..., None, None].to(patch.dtype) for patch in patches)


def carry_over(found: TrackState, start: int, fresh: TrackState, *, carried: Tensor) -> TrackState:
    """Where a window starts: the predictions of its first 8 frames, the last of them held for the other 8.

    Args:
        found: predictions so far, "B N T'" with T' >= start + 8.
        fresh: points at rest, "B N 16", kept where `carried` ("B N") is False.
    """

    def held(values: Tensor) -> Tensor:
        overlap = values[:, :, start : start + STEP]
        return torch.cat([overlap, overlap[:, :, -1:].expand(-1, -1, STEP, *overlap.shape[3:])], 2)

    before = TrackState(held(found.cells), held(found.visibility), held(found.confidence))
    return before.where(carried[..., None], fresh)


def written(found: TrackState, start: int, window: TrackState) -> TrackState:
    """The predictions so far with a window's frames in place of what stood there; frames beyond the end are dropped."""

    def side(before: Tensor, values: Tensor) -> Tensor:
        real = min(before.shape[2] - start, values.shape[2])
        return torch.cat([before[:, :, :start], values[:, :, :real], before[:, :, start + real :]], 2)

    return TrackState(side(found.cells, window.cells), side(found.visibility, window.visibility), side(found.confidence, window.confidence))
