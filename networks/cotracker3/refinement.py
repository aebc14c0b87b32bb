"""Iterative refinement of tracks over one stretch of frames, and over the online model's sliding windows."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from networks.cotracker3.correlation import bytes_per_point, correlation_embedding
from networks.cotracker3.features import STRIDE, Features
from networks.cotracker3.network import CoTracker3, encode_motion, relative_motion, resample_time
from networks.layers.computing import checkpointed, full_precision

ITERATIONS = 6  # what the public predictors use
STEP = 8
WINDOW = 2 * STEP


@dataclass(frozen=True, slots=True, eq=False)
class TrackState:
    """Current estimate of N points over T frames, for B batch entries."""

    cells: Tensor  # float32 "B N T 2", (x, y) in cells of stride 4
    visibility: Tensor  # float32 "B N T", logit
    confidence: Tensor  # float32 "B N T", logit

    @classmethod
    def at_rest(cls, cells: Tensor, num_frames: int) -> "TrackState":
        """Every point stays at its query, "B N 2"; nothing is known of visibility and confidence (logit 0)."""
        still = cells.unsqueeze(2).expand(-1, -1, num_frames, -1)
        zero = torch.zeros_like(still[..., 0])
        return cls(still, zero, zero)

    def repeated(self, times: int) -> "TrackState":
        """The batch, several times over."""
        return TrackState(self.cells.repeat(times, 1, 1, 1), self.visibility.repeat(times, 1, 1), self.confidence.repeat(times, 1, 1))

    def split(self, size: int) -> tuple["TrackState", ...]:
        """The batch in parts of `size`."""
        parts = zip(self.cells.split(size), self.visibility.split(size), self.confidence.split(size), strict=True)
        return tuple(TrackState(*part) for part in parts)

    def where(self, condition: Tensor, other: "TrackState") -> "TrackState":
        """This where `condition` ("B N T", or what broadcasts to it), else the other."""
        return TrackState(
            torch.where(condition[..., None], self.cells, other.cells),
            torch.where(condition, self.visibility, other.visibility),
            torch.where(condition, self.confidence, other.confidence),
        )

    def first_frames(self, count: int) -> "TrackState":
        """The first frames alone."""
        return TrackState(self.cells[:, :, :count], self.visibility[:, :, :count], self.confidence[:, :, :count])

    def time_reversed(self) -> "TrackState":
        """The same, last frame first."""
        return TrackState(self.cells.flip(2), self.visibility.flip(2), self.confidence.flip(2))


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Frames to track over, and the query patches. A batch entry is a clip in one direction of time."""

    features: Features  # of all frames that `rows` names
    rows: Tensor  # int64 "B T": the frame in `features` of each time step
    patches: tuple[Tensor, ...]  # per level "B N C 49": the query patches
    correlation_bytes: int = 64 << 20  # working memory for correlations


@dataclass(frozen=True, slots=True, eq=False)
class RefinedWindow:
    """A window of frames, refined."""

    start: int  # its first frame
    states: tuple[TrackState, ...]  # after each iteration, over the window's frames that the video has
    found: TrackState  # all predictions up to here, over all frames of the video


def refine(
    model: CoTracker3, stretch: Stretch, state: TrackState, *, iterations: int, first_input: Tensor | None = None
) -> Iterator[TrackState]:
    """Yield the estimate after each iteration.

    Args:
        first_input: "B N T D", the `input_tokens` of `state` where it is known already.
    Gradients: positions are detached at the start of every iteration; logits and features keep their graph.
    """
    again = model.config.computing.gradient_checkpointing
    time = time_input(model, state.cells.shape[2])
    for iteration in range(iterations):
        cells = state.cells.detach()
        known = first_input if iteration == 0 else None
        points = input_tokens(model, stretch, TrackState(cells, state.visibility, state.confidence)) if known is None else known
        change = checkpointed(model.updateformer, points + time, enabled=again)
        state = TrackState(cells + change[..., :2], state.visibility + change[..., 2], state.confidence + change[..., 3])
        yield state


def input_tokens(model: CoTracker3, stretch: Stretch, state: TrackState) -> Tensor:
    """The transformer's input tokens, without the time embedding: float32 "B N T D".

    Points do not meet here, so they are taken a few at a time, down to the transformer's input layer: neither correlations nor tokens
    of all points are ever held.
    """
    batch, num_points, num_steps, _ = state.cells.shape
    rows = stretch.rows[:, None].expand(-1, num_points, -1).flatten(0, 1)
    patches = tuple(patch.flatten(0, 1) for patch in stretch.patches)
    flat = [values.flatten(0, 1) for values in (state.cells, state.visibility, state.confidence)]
    again, needed = model.config.computing.gradient_checkpointing, _bytes_per_point(model, num_steps)

    def embed(part: slice) -> Tensor:
        def step(cells: Tensor, visibility: Tensor, confidence: Tensor) -> Tensor:
            embedding = correlation_embedding(
                model.corr_mlp, stretch.features, rows=rows[part], patches=tuple(patch[part] for patch in patches), cells=cells
            )
            return model.updateformer.input_transform(tokens(model, TrackState(cells, visibility, confidence), embedding)).float()

        return checkpointed(step, *(values[part] for values in flat), enabled=again)

    parts = [embed(part) for part in _parts(batch * num_points, max(1, stretch.correlation_bytes // needed))]
    return torch.cat(parts).unflatten(0, (batch, num_points))


def _bytes_per_point(model: CoTracker3, num_steps: int) -> int:
    return bytes_per_point(num_steps, channels=model.config.features, embedding=model.config.embedding)


def tokens(model: CoTracker3, state: TrackState, embedding: Tensor) -> Tensor:
    """Logits, correlation embedding "... T 4E", encoded motion, side by side; the time embedding is not added."""
    with full_precision(embedding.device):  # the motion is multiplied by up to 2^9
        height, width = model.model_resolution
        scale = torch.tensor([width / STRIDE, height / STRIDE], device=state.cells.device)
        motion = encode_motion(relative_motion(state.cells, scale))
        return torch.cat([state.visibility[..., None], state.confidence[..., None], embedding.float(), motion], -1)


def time_input(model: CoTracker3, num_frames: int) -> Tensor:
    """The time embedding, stretched over the frames, through the transformer's input layer: "T D". The same for every point."""
    with full_precision(model.device):
        return F.linear(resample_time(model.time_emb, num_frames)[0], model.updateformer.input_transform.weight)


def final_state(states: Iterable[TrackState]) -> TrackState:
    """The last of some estimates."""
    return deque(states, maxlen=1).pop()


def _parts(total: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, total, size))


def online_windows(model: CoTracker3, stretch: Stretch, rest: TrackState, *, query_frames: Tensor, iterations: int) -> Iterator[TrackState]:
    """All predictions so far, "B N T", after each of `refined_windows`, whose arguments these are."""
    return (window.found for window in refined_windows(model, stretch, rest, query_frames=query_frames, iterations=iterations))


def refined_windows(
    model: CoTracker3, stretch: Stretch, rest: TrackState, *, query_frames: Tensor, iterations: int
) -> Iterator[RefinedWindow]:
    """Slide over a whole video whose features are at hand.

    A window that reaches beyond the last frame sees that frame repeated; what is predicted there is dropped.

    Args:
        rest: every point at its query, over T frames.
        query_frames: int64 "B N".
    Gradients: as `refine`. Logits that a window takes over from the one before keep their graph, positions do not.
    """
    num_frames = rest.cells.shape[2]
    found = TrackState(torch.zeros_like(rest.cells), torch.zeros_like(rest.visibility), torch.zeros_like(rest.confidence))
    for start in range(0, max(num_frames - STEP, 1), STEP):
        steps = torch.arange(start, start + WINDOW, device=stretch.rows.device).clamp_max(num_frames - 1)
        window = replace(stretch, rows=stretch.rows[:, steps], patches=mask_unseen_patches(stretch.patches, query_frames < start + WINDOW))
        fresh = TrackState.at_rest(rest.cells[:, :, 0], WINDOW)
        state = carry_over(found, start, fresh, carried=query_frames < start + STEP) if start else fresh
        states = tuple(refine(model, window, state, iterations=iterations))
        found = write_window(found, start, states[-1])
        yield RefinedWindow(start, tuple(state.first_frames(num_frames - start) for state in states), found)


def mask_unseen_patches(patches: tuple[Tensor, ...], seen: Tensor) -> tuple[Tensor, ...]:
    """Patches of points that are not seen yet ("B N" False) are zero: they correlate with nothing."""
    return tuple(patch * seen[..., None, None].to(patch.dtype) for patch in patches)


def carry_over(found: TrackState, start: int, fresh: TrackState, *, carried: Tensor) -> TrackState:
    """Initial state of a window: the predictions of its first 8 frames, the last of them repeated for the other 8.

    Args:
        found: predictions so far, "B N T'" with T' >= start + 8.
        fresh: points at rest, "B N 16", kept where `carried` ("B N") is False.
    """

    def held(values: Tensor) -> Tensor:
        overlap = values[:, :, start : start + STEP]
        return torch.cat([overlap, overlap[:, :, -1:].expand(-1, -1, STEP, *overlap.shape[3:])], 2)

    before = TrackState(held(found.cells), held(found.visibility), held(found.confidence))
    return before.where(carried[..., None], fresh)


def write_window(found: TrackState, start: int, window: TrackState) -> TrackState:
    """The predictions so far with a window's frames written over them; frames beyond the end are dropped."""

    def side(before: Tensor, values: Tensor) -> Tensor:
        real = min(before.shape[2] - start, values.shape[2])
        return torch.cat([before[:, :, :start], values[:, :, :real], before[:, :, start + real :]], 2)

    return TrackState(side(found.cells, window.cells), side(found.visibility, window.visibility), side(found.confidence, window.confidence))
