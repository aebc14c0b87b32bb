"""Passes over clips that are encoded already: forward, and backward in time for the frames before each query.

The backward pass reads the same features in the opposite order. It shares the query patches, and, as every point starts at rest,
what the first iteration reads.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from labelers.cotracker3.config import EngineConfig
from networks.cotracker3.features import STRIDE, Features
from networks.cotracker3.models import CoTracker3Online, patches_of
from networks.cotracker3.network import CoTracker3
from networks.cotracker3.refinement import Stretch, TrackState, entry, last, refine
from networks.cotracker3.windows import online_windows


@dataclass(frozen=True, slots=True, eq=False)
class EncodedClips:
    """Features of B clips of T frames: encoded once, tracked as often as one likes."""

    features: Features
    rows: Tensor  # int64 "B T": where each clip's frames lie in `features`
    sizes: tuple[tuple[int, int], ...]  # (H, W) of each clip's frames

    def clip(self, place: int) -> "EncodedClips":
        """One of them."""
        return EncodedClips(self.features, self.rows[place : place + 1], self.sizes[place : place + 1])


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One direction of time: B batch entries, to which others may be joined."""

    rows: Tensor  # "B T"
    query_frames: Tensor  # "B N"
    entry: Tensor | None  # "B N T 384" of the points at rest; None where windows have their own

    def joined(self, other: "_Pass") -> "_Pass":
        both = None if self.entry is None or other.entry is None else torch.cat([self.entry, other.entry])
        return _Pass(torch.cat([self.rows, other.rows]), torch.cat([self.query_frames, other.query_frames]), both)


def track_clips(model: CoTracker3, clips: EncodedClips, points: Tensor, *, config: EngineConfig, backward: bool) -> TrackState:
    """Follow points "B N 3" (t, x, y in model pixels) through clips of T frames.

    With `backward`, frames before each point's query come from the time-reversed pass.
    """
    frames, cells = points[..., 0].long(), points[..., 1:] / STRIDE
    patches = patches_of(clips.features, clips.rows, query_frames=frames, cells=cells)
    stretch = Stretch(clips.features, clips.rows, patches, config.correlation_bytes)
    num_frames = clips.rows.shape[1]
    rest = TrackState.at_rest(cells, num_frames)
    at_rest = None if isinstance(model, CoTracker3Online) else entry(model, stretch, rest)
    forward = _Pass(clips.rows, frames, at_rest)
    if not backward or not frames.any():  # nothing lies before frame 0
        return _run(model, stretch, rest, forward, config)
    back = _Pass(clips.rows.flip(1), num_frames - 1 - frames, None if at_rest is None else at_rest.flip(2))
    if config.directions_together:
        found = _run(model, stretch, rest, forward.joined(back), config)
        there, reversed_back = found.split(len(frames))
    else:
        there, reversed_back = _run(model, stretch, rest, forward, config), _run(model, stretch, rest, back, config)
    before = torch.arange(num_frames, device=points.device) < points[..., :1]
    return reversed_back.time_reversed().where(before, there)


def _run(model: CoTracker3, stretch: Stretch, rest: TrackState, time: _Pass, config: EngineConfig) -> TrackState:
    """One pass, or two joined ones."""
    repeats = len(time.rows) // len(stretch.rows)
    stretch = Stretch(
        stretch.features, time.rows, tuple(patch.repeat(repeats, 1, 1, 1) for patch in stretch.patches), stretch.correlation_bytes
    )
    state = rest.repeated(repeats)
    if isinstance(model, CoTracker3Online):
        return last(online_windows(model, stretch, state, query_frames=time.query_frames, iterations=config.iterations))
    return last(refine(model, stretch, state, iterations=config.iterations, first_entry=time.entry))
