"""Tracking passes of CoTracker3: over encoded clips, forward and backward in time, and over streams window by window.

The backward pass reads the same features in the opposite order. It shares the query patches, and, as every point starts at rest,
what the first iteration reads. A stream needs, for each step of 8 frames, the features of the 8 before; those are kept, so that
every frame is encoded once, in memory that does not grow with the stream's length.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from labelers.cotracker3.config import EngineConfig
from networks.cotracker3.features import STRIDE, Features
from networks.cotracker3.models import CoTracker3Online, patches_of
from networks.cotracker3.network import CoTracker3
from networks.cotracker3.refinement import (
    STEP,
    WINDOW,
    Stretch,
    TrackState,
    carry_over,
    final_state,
    input_tokens,
    online_windows,
    refine,
    write_window,
)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedClips:
    """Features of B clips of T frames, encoded once for any number of passes."""

    features: Features
    rows: Tensor  # int64 "B T": where each clip's frames lie in `features`
    sizes: tuple[tuple[int, int], ...]  # (H, W) of each clip's frames

    def clip(self, place: int) -> "EncodedClips":
        """One clip of the batch."""
        return EncodedClips(self.features, self.rows[place : place + 1], self.sizes[place : place + 1])


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One direction of time, for B batch entries."""

    rows: Tensor  # "B T"
    query_frames: Tensor  # "B N"
    input_tokens: Tensor | None  # "B N T D" of the points at rest; None where windows have their own

    def join(self, other: "_Pass") -> "_Pass":
        both = None if self.input_tokens is None or other.input_tokens is None else torch.cat([self.input_tokens, other.input_tokens])
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
    at_rest = None if isinstance(model, CoTracker3Online) else input_tokens(model, stretch, rest)
    forward = _Pass(clips.rows, frames, at_rest)
    if not backward or not frames.any():  # nothing lies before frame 0
        return _run(model, stretch, rest, forward, config)
    back = _Pass(clips.rows.flip(1), num_frames - 1 - frames, None if at_rest is None else at_rest.flip(2))
    if config.directions_together:
        found = _run(model, stretch, rest, forward.join(back), config)
        there, reversed_back = found.split(len(frames))
    else:
        there, reversed_back = _run(model, stretch, rest, forward, config), _run(model, stretch, rest, back, config)
    before = torch.arange(num_frames, device=points.device) < points[..., :1]
    return reversed_back.time_reversed().where(before, there)


def _run(model: CoTracker3, stretch: Stretch, rest: TrackState, time: _Pass, config: EngineConfig) -> TrackState:
    """One pass, or two that were joined."""
    repeats = len(time.rows) // len(stretch.rows)
    stretch = Stretch(
        stretch.features, time.rows, tuple(patch.repeat(repeats, 1, 1, 1) for patch in stretch.patches), stretch.correlation_bytes
    )
    state = rest.repeated(repeats)
    if isinstance(model, CoTracker3Online):
        return final_state(online_windows(model, stretch, state, query_frames=time.query_frames, iterations=config.iterations))
    return final_state(refine(model, stretch, state, iterations=config.iterations, first_input=time.input_tokens))


@dataclass(frozen=True, slots=True, eq=False)
class StreamState:
    """State of tracking B videos in step, after some windows. Immutable, so several may be in flight."""

    queries: Tensor  # float32 "B N 3", (t, x, y) in model pixels, t from the first frame of the video
    start: int  # first frame of the next window
    patches: tuple[Tensor, ...]  # per level "B N C 49", zero for points that are not seen yet; empty before the first window
    found: TrackState  # predictions so far; frames before the first window are at rest

    @classmethod
    def before(cls, queries: Tensor, *, start: int = 0) -> "StreamState":
        """Initial state; the first window begins at frame `start`, a multiple of 8."""
        return cls(queries, start, (), TrackState.at_rest(queries[..., 1:] / STRIDE, start))

    @property
    def query_frames(self) -> Tensor:
        """int64 "B N"."""
        return self.queries[..., 0].long()


def track_window(model: CoTracker3, state: StreamState, window: Features, *, config: EngineConfig) -> StreamState:
    """Track one window.

    Args:
        window: features of frames [start, start + 16) of every video, one video after the other; only the last window of a video
            may have fewer, and more than 8 unless it is also the first.
    Returns: the state after it, with predictions up to the window's last frame.
    """
    batch = len(state.queries)
    num_frames = window.num_frames // batch
    rows = torch.arange(batch * num_frames, device=state.queries.device).view(batch, num_frames)
    cells, first = state.queries[..., 1:] / STRIDE, not state.patches
    patches = _patches_so_far(state, window, rows, cells)
    rest = TrackState.at_rest(cells, WINDOW)
    estimate = rest if first else carry_over(state.found, state.start, rest, carried=state.query_frames < state.start + STEP)
    padded = rows[:, torch.arange(WINDOW, device=rows.device).clamp_max(num_frames - 1)]
    stretch = Stretch(window, padded, patches, config.correlation_bytes)
    refined = final_state(refine(model, stretch, estimate, iterations=config.iterations))
    found = write_window(_extend(state.found, state.start + num_frames), state.start, refined)
    return StreamState(state.queries, state.start + STEP, patches, found)


def _patches_so_far(state: StreamState, window: Features, rows: Tensor, cells: Tensor) -> tuple[Tensor, ...]:
    """Each point is sampled once: in the first window that holds its query frame."""
    frames = state.query_frames
    sampled = patches_of(window, rows, query_frames=frames - state.start, cells=cells)
    newly = frames < state.start + WINDOW
    if not state.patches:
        return tuple(torch.where(newly[..., None, None], patch, 0) for patch in sampled)
    newly &= frames >= state.start + STEP
    return tuple(torch.where(newly[..., None, None], patch, kept) for patch, kept in zip(sampled, state.patches, strict=True))


def _extend(found: TrackState, num_frames: int) -> TrackState:
    def side(values: Tensor) -> Tensor:
        missing = num_frames - values.shape[2]
        return torch.cat([values, values.new_zeros((*values.shape[:2], missing, *values.shape[3:]))], 2)

    return TrackState(side(found.cells), side(found.visibility), side(found.confidence))


def first_window(queries: Sequence[np.ndarray]) -> int:
    """First frame of the first window that holds a query "N 3"; 0 where there are none."""
    first = min((int(points[:, 0].min()) for points in queries if len(points)), default=0)
    return max(0, first // STEP - 1) * STEP


def frames_by_window(frames: Iterable[np.ndarray], start: int) -> Iterator[np.ndarray]:
    """New frames of each window: "16 H W 3" from frame `start` on, then "8 H W 3"; the last group may be smaller."""
    following = islice(frames, start, None)
    size = WINDOW
    while group := list(islice(following, size)):
        yield np.stack(group)
        size = STEP
