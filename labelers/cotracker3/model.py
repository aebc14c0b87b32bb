"""The two models as modules that are called on whole videos."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from labelers.cotracker3.correlation import query_patches
from labelers.cotracker3.encoder import STRIDE
from labelers.cotracker3.features import Features, encode
from labelers.cotracker3.network import CoTracker3
from labelers.cotracker3.refinement import ITERATIONS, Stretch, TrackState, last, refine
from labelers.cotracker3.windows import STEP, online_windows
from pipeline.errors import ConfigError

Variant = Literal["offline", "online"]
WINDOW_LEN = {"offline": 60, "online": 2 * STEP}
FRAMES_AT_ONCE = 8


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
        return CoTracker3Output.of_state(last(refine(self, stretch, state, iterations=iters)))


class CoTracker3Online(CoTracker3):
    """Windows of 16 frames, every 8 frames one; each starts from what the one before found."""

    def forward(self, video: Tensor, queries: Tensor, iters: int = ITERATIONS) -> CoTracker3Output:
        """Track; arguments as for the offline model.

        A video of up to 8 frames holds no window: tracks are 0 and probabilities 0.5, as in the public model. `CoTracker3Engine`
        tracks such clips.
        """
        stretch, state = open_video(self, video, queries)
        if video.shape[1] <= STEP:
            return CoTracker3Output.of_state(TrackState(torch.zeros_like(state.cells), state.visibility, state.confidence))
        windows = online_windows(self, stretch, state, query_frames=queries[..., 0].long(), iterations=iters)
        return CoTracker3Output.of_state(last(windows))


def build_model(
    variant: Variant, *, model_resolution: tuple[int, int] = (384, 512), window_len: int | None = None
) -> CoTracker3Offline | CoTracker3Online:
    """Make a model with fresh weights; `load_weights` fills them.

    Args:
        variant: "offline" or "online".
        model_resolution: (H, W) that frames are resized to, multiples of 4; the public checkpoints were trained at (384, 512).
        window_len: rows of the time embedding, by default what the public checkpoints hold: 60 offline, 16 online. The online
            model's window always has 16 frames.
    Raises: ConfigError.
    """
    if variant not in WINDOW_LEN:
        raise ConfigError(f"CoTracker3 variant {variant!r}, expected one of {', '.join(WINDOW_LEN)}")
    height, width = model_resolution
    if min(height, width) < 32 or height % STRIDE or width % STRIDE:
        raise ConfigError(f"model_resolution {model_resolution} as (H, W): expected multiples of {STRIDE} of at least 32")
    length = WINDOW_LEN[variant] if window_len is None else window_len
    if length < 1 or (variant == "online" and length != WINDOW_LEN["online"]):
        raise ConfigError(f"window_len {length}: the online model has {WINDOW_LEN['online']}, the offline model at least 1")
    kind = CoTracker3Offline if variant == "offline" else CoTracker3Online
    return kind(model_resolution=(height, width), window_len=length)


def compile_parts(model: CoTracker3) -> None:
    """Have torch.compile make kernels for the network's parts, at their first call; the names of the weights stay."""
    for part in (model.fnet, model.updateformer, model.corr_mlp):
        part.compile()


def open_video(model: CoTracker3, video: Tensor, queries: Tensor) -> tuple[Stretch, TrackState]:
    """Encode a batch of videos, sample the query patches, and put every point at rest."""
    batch, num_frames = video.shape[:2]
    if video.shape[-2] % STRIDE or video.shape[-1] % STRIDE or min(video.shape[-2:]) < 32:
        raise ConfigError(f"frames of {video.shape[-2]}x{video.shape[-1]} (H x W): expected multiples of {STRIDE} of at least 32")
    if queries.shape[:1] != (batch,) or queries.shape[-1] != 3:
        raise ConfigError(f"queries {list(queries.shape)} for {batch} videos, expected [{batch}, N, 3]: (t, x, y)")
    features = encode(model.fnet, video.flatten(0, 1), FRAMES_AT_ONCE)
    rows = torch.arange(batch * num_frames, device=video.device).view(batch, num_frames)
    cells = queries[..., 1:] / STRIDE
    patches = patches_of(features, rows, query_frames=queries[..., 0].long(), cells=cells)
    return Stretch(features, rows, patches), TrackState.at_rest(cells, num_frames)


def patches_of(features: Features, rows: Tensor, *, query_frames: Tensor, cells: Tensor) -> tuple[Tensor, ...]:
    """Query patches, per level "B N 128 49".

    Args:
        rows: int64 "B T", frames in `features`.
        query_frames: int64 "B N", index into T, clamped to it.
        cells: "B N 2".
    """
    at = rows.gather(1, query_frames.clamp(0, rows.shape[1] - 1)).flatten()
    return tuple(patch.unflatten(0, cells.shape[:2]) for patch in query_patches(features, at, cells.flatten(0, 1)))
