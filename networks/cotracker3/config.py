"""Sizes of a CoTracker3. The defaults are the public checkpoints'; only such a network can hold their weights."""

from dataclasses import dataclass

from networks.cotracker3.features import CHANNELS, ENCODER_WIDTHS, LEVELS, STRIDE
from pipeline.errors import ConfigError

NUM_SCALES = 10  # of the motion encoding
MOTION = 4 + 2 * 4 * NUM_SCALES  # 84
SMALLEST_SIDE = 32  # pixels: the coarsest level has one cell then


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackerComputing:
    """Options that change memory and time, not results."""

    gradient_checkpointing: bool = False  # recompute encoder, correlations and transformer in the backward pass
    frames_at_once: int = 8  # through the encoder
    correlation_mb: float = 64.0  # working memory of the correlations of some points

    def __post_init__(self) -> None:
        if not self.correlation_mb > 0 or self.frames_at_once < 1:
            raise ConfigError(f"computing: correlation_mb {self.correlation_mb} and frames_at_once {self.frames_at_once} must be positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class CoTracker3Config:
    """Resolution, window and widths; names of the weights do not depend on them."""

    model_resolution: tuple[int, int] = (384, 512)  # (H, W) that frames are resized to; the public checkpoints were trained at this one
    window_len: int | None = None  # rows of the time embedding; None for what the public checkpoints hold: 60 offline, 16 online
    encoder: tuple[int, int, int, int] = ENCODER_WIDTHS  # channels of its four scales
    features: int = CHANNELS  # channels of the feature maps
    correlation_hidden: int = 384  # hidden layer of the correlation MLP
    embedding: int = 256  # of the correlations of one level
    hidden: int = 384  # of a token within the transformer
    heads: int = 8
    depth: int = 3  # blocks along time, each followed by blocks across tracks
    virtual_tracks: int = 64
    computing: TrackerComputing = TrackerComputing()

    def __post_init__(self) -> None:
        height, width = self.model_resolution
        if min(height, width) < SMALLEST_SIDE or height % STRIDE or width % STRIDE:
            raise ConfigError(f"model_resolution {(height, width)} as (H, W): expected multiples of {STRIDE} of at least {SMALLEST_SIDE}")
        if self.window_len is not None and self.window_len < 1:
            raise ConfigError(f"window_len is {self.window_len}, expected 1 or more")
        for name in ("features", "correlation_hidden", "embedding", "hidden", "heads", "depth", "virtual_tracks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if min(self.encoder) < 1:
            raise ConfigError(f"encoder is {self.encoder}, expected four widths of 1 or more")
        if self.hidden % self.heads:
            raise ConfigError(f"hidden is {self.hidden}, expected a multiple of heads, {self.heads}")

    @property
    def token(self) -> int:
        """Width of a token: two logits, the correlations of all levels, the encoded motion. 1110 in the public checkpoints."""
        return 2 + LEVELS * self.embedding + MOTION
