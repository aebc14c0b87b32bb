"""How sequences with ground truth become clips: the options that decide a converted dataset's bytes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversionPolicy:
    """Windows, pictures, made tracks, and which findings of the checks are let pass."""

    clip_frames: int = 48  # 0: each sequence is one clip
    clip_stride: int | None = None  # frames between the starts of two clips; None: clip_frames
    min_frames: int = 6  # shorter sequences are errors; shorter tails are left out
    long_side: int | None = None  # pixels of frames and truth alike, never enlarged; None keeps the source's size
    quality: int = 18  # x264's constant rate factor; lower is better
    key_frame_every: int = 12
    reprojected_tracks: int = 1024  # static points followed where there are depth and poses but no tracks; 0: none
    max_tracks: int | None = None  # tracks kept per clip, drawn by the clip's key; None keeps all
    accept: tuple[str, ...] = ()  # findings of the checks that do not fail a clip
    clips_per_shard: int = 64
    split_shares: Mapping[str, float] = field(default_factory=lambda: {"train": 0.98, "val": 0.01, "test": 0.01})  # unless prescribed
    limit: int | None = None  # at most this many clips

    def __post_init__(self) -> None:
        for name, least in (("clip_stride", 1), ("min_frames", 1), ("long_side", 16), ("key_frame_every", 1), ("clips_per_shard", 1)):
            _at_least(name, getattr(self, name), least)
        for name, least in (("clip_frames", 0), ("reprojected_tracks", 0), ("max_tracks", 1), ("limit", 1), ("quality", 0)):
            _at_least(name, getattr(self, name), least)
        if self.quality > 51:
            raise ConfigError(f"--quality is {self.quality}, expected 0..51")
        if self.clip_frames and self.clip_frames < self.min_frames:
            raise ConfigError(f"--clip-frames {self.clip_frames} is below --min-frames {self.min_frames}; lower --min-frames too")
        if self.clip_stride is not None and not self.clip_frames:
            raise ConfigError("--clip-stride needs --clip-frames to be positive")
        if abs(sum(self.split_shares.values()) - 1) > 1e-6 or min(self.split_shares.values()) < 0:
            raise ConfigError(f"split shares {dict(self.split_shares)} must not be negative and add up to 1")

    def document(self) -> dict[str, Any]:
        """The policy as JSON types."""
        return {**asdict(self), "accept": list(self.accept)}


def _at_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise ConfigError(f"--{name.replace('_', '-')} is {value}, expected at least {least}")
