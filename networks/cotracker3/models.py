"""The two models as modules that are called on whole videos."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from networks.cotracker3.config import SMALLEST_SIDE, CoTracker3Config
from networks.cotracker3.correlation import query_patches
from networks.cotracker3.features import STRIDE, Features, encode
from networks.cotracker3.network import CoTracker3
from networks.cotracker3.refinement import (
    ITERATIONS,
    STEP,
    WINDOW,
    RefinedWindow,
    Stretch,
    TrackState,
    final_state,
    online_windows,
    refine,
    refined_windows,
)
from networks.layers.computing import checkpointed
from pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True, eq=False)
class CoTracker3Output:
    """Tracks of N points over T frames of B videos."""

    tracks: Tensor  # float32 "B T N 2", (x, y) in pixels of the given frames
    visibility: Tensor  # float32 "B T N", probability
    confidence: Tensor  # float32 "B T N", probability that the position is right

    @classmethod
    def of_state(cls, state: TrackState) -> "CoTracker3Output":
        """Cells to pixels, logits to probabilities, time before points."""
        return cls(
            STRIDE * state.cells.transpose(1, 2), state.visibility.sigmoid().transpose(1, 2), state.confidence.sigmoid().transpose(1, 2)
        )


class CoTracker3Offline(CoTracker3):
    """All frames at once, both directions in time from every query."""

    public_window: ClassVar[int] = 60

    def forward(self, video: Tensor, queries: Tensor, iters: int = ITERATIONS) -> CoTracker3Output:
        """Track.

        Args:
            video: "B T 3 H W", RGB, 0..255; H and W multiples of 4.
            queries: "B N 3", (t, x, y): frame index (truncated to a whole number) and pixels of these frames.
            iters: refinement steps.
        Raises: ConfigError for sizes that do not fit.
        Source: Karaev et al., CoTracker3, arXiv 2410.11831, section 3.
        """
        stretch, state = open_video(self, video, queries)
        return CoTracker3Output.of_state(final_state(refine(self, stretch, state, iterations=iters)))

    def refined(self, video: Tensor, queries: Tensor, iters: int = ITERATIONS) -> Iterator[RefinedWindow]:
        """All iterations of the one window that holds the video, for a loss; arguments as for the call."""
        stretch, state = open_video(self, video, queries)
        states = tuple(refine(self, stretch, state, iterations=iters))
        yield RefinedWindow(0, states, states[-1])


class CoTracker3Online(CoTracker3):
    """Windows of 16 frames, every 8 frames one; each starts from what the one before found."""

    public_window: ClassVar[int] = WINDOW

    def __init__(self, config: CoTracker3Config) -> None:
        """Raises: ConfigError as for any CoTracker3, and for a time embedding of another length than the window's."""
        super().__init__(config)
        if self.window_len != WINDOW:
            raise ConfigError(f"window_len is {self.window_len}, the online model's windows have {WINDOW} frames")

    def forward(self, video: Tensor, queries: Tensor, iters: int = ITERATIONS) -> CoTracker3Output:
        """Track; arguments as for the offline model.

        A video of up to 8 frames holds no window: tracks are 0 and probabilities 0.5, as in the public model. `CoTracker3Engine`
        tracks such clips.
        """
        stretch, state = open_video(self, video, queries)
        if video.shape[1] <= STEP:
            return CoTracker3Output.of_state(TrackState(torch.zeros_like(state.cells), state.visibility, state.confidence))
        windows = online_windows(self, stretch, state, query_frames=queries[..., 0].long(), iterations=iters)
        return CoTracker3Output.of_state(final_state(windows))

    def refined(self, video: Tensor, queries: Tensor, iters: int = ITERATIONS) -> Iterator[RefinedWindow]:
        """All iterations of each window in turn, for a loss; arguments as for the call.

        Raises: ConfigError for a video of up to 8 frames, which holds no window.
        """
        if video.shape[1] <= STEP:
            raise ConfigError(f"a video of {video.shape[1]} frames holds no window of the online model, expected {STEP + 1} or more")
        stretch, state = open_video(self, video, queries)
        yield from refined_windows(self, stretch, state, query_frames=queries[..., 0].long(), iterations=iters)


def compile_parts(model: CoTracker3) -> None:
    """Have torch.compile make kernels for the network's parts, at their first call; the names of the weights stay."""
    for part in (model.fnet, model.updateformer, model.corr_mlp):
        part.compile()


def open_video(model: CoTracker3, video: Tensor, queries: Tensor) -> tuple[Stretch, TrackState]:
    """Encode a batch of videos, sample the query patches, and put every point at rest."""
    batch, num_frames = video.shape[:2]
    if video.shape[-2] % STRIDE or video.shape[-1] % STRIDE or min(video.shape[-2:]) < SMALLEST_SIDE:
        raise ConfigError(
            f"frames of {video.shape[-2]}x{video.shape[-1]} (H x W): expected multiples of {STRIDE} of at least {SMALLEST_SIDE}"
        )
    if queries.shape[:1] != (batch,) or queries.shape[-1] != 3:
        raise ConfigError(f"queries {list(queries.shape)} for {batch} videos, expected [{batch}, N, 3]: (t, x, y)")
    computing = model.config.computing

    def encoder(frames: Tensor) -> Tensor:
        return checkpointed(model.fnet, frames, enabled=computing.gradient_checkpointing)

    features = encode(encoder, video.flatten(0, 1), computing.frames_at_once)
    rows = torch.arange(batch * num_frames, device=video.device).view(batch, num_frames)
    cells = queries[..., 1:] / STRIDE
    patches = patches_of(features, rows, query_frames=queries[..., 0].long(), cells=cells)
    return Stretch(features, rows, patches, int(computing.correlation_mb * 2**20)), TrackState.at_rest(cells, num_frames)


def patches_of(features: Features, rows: Tensor, *, query_frames: Tensor, cells: Tensor) -> tuple[Tensor, ...]:
    """Query patches, per level "B N C 49".

    Args:
        rows: int64 "B T", frames in `features`.
        query_frames: int64 "B N", index into T, clamped to it.
        cells: "B N 2".
    """
    at = rows.gather(1, query_frames.clamp(0, rows.shape[1] - 1)).flatten()
    return tuple(patch.unflatten(0, cells.shape[:2]) for patch in query_patches(features, at, cells.flatten(0, 1)))
