"""Rules that decide a dataset's bytes: how clips are cut, named and stored, and the split of a source."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pipeline.errors import ConfigError
from pipeline.video.encode import EncodePolicy
from pipeline.video.scenes import require_scene_detection

_LONGEST_SLUG = 48
VIDEO_POLICIES = ("auto", "copy", "h264")
SNAPS = ("none", "key-frames")
CLIPS_PER_SHARD = 16  # what a job may lose when it is killed: docs/resuming.md weighs it


def source_hash(relative_uri: str) -> str:
    """8 hex digits of a source's relative uri."""
    return hashlib.sha256(relative_uri.encode()).hexdigest()[:8]


def slug(text: str) -> str:
    """`text` in A-Z a-z 0-9 _ - alone: accents dropped, anything else a dash; `video` if nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:_LONGEST_SLUG].strip("-") or "video"


def clip_key(relative_uri: str, number: int) -> str:
    """Key of clip `number` of a source: slug of its stem, 8 hex of its relative uri, and the number."""
    return f"{slug(PurePosixPath(relative_uri).stem)}-{source_hash(relative_uri)}-w{number:04d}"


def split_of(source_id: str, shares: Mapping[str, float]) -> str:
    """The split of all clips of a source: its hash, as a number in [0, 1), falls into one of the shares laid end to end."""
    place = int.from_bytes(hashlib.sha256(f"split:{source_id}".encode()).digest()[:8], "big") / 2**64
    end = 0.0
    for name, share in shares.items():
        end += share
        if place < end:
            return name
    return list(shares)[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipPolicy:
    """Options of cutting sources into clips, and of gathering clips in shards."""

    clip_frames: int = 48  # 0: each span is one clip
    clip_stride: int | None = None  # frames between the starts of two clips; None: clip_frames
    min_frames: int = 6  # shorter sources and spans are errors; shorter tails are left out
    snap: str = "none"  # one of SNAPS; key-frames: clips begin at key frames of the source, with at most clip_frames frames
    scene_cuts: bool = False  # split spans where the picture cuts
    scene_threshold: float = 27.0  # PySceneDetect's ContentDetector
    video: str = "auto"  # one of VIDEO_POLICIES
    encode: EncodePolicy = field(default_factory=EncodePolicy)
    clips_per_shard: int = CLIPS_PER_SHARD
    bytes_per_shard: int | None = None  # estimated; instead of clips_per_shard
    split_shares: Mapping[str, float] = field(default_factory=lambda: {"train": 0.98, "val": 0.01, "test": 0.01})
    limit: int | None = None  # at most this many clips

    def __post_init__(self) -> None:
        if self.video not in VIDEO_POLICIES:
            raise ConfigError(f"--video is {self.video!r}, expected one of {', '.join(VIDEO_POLICIES)}")
        if self.snap not in SNAPS:
            raise ConfigError(f"--snap is {self.snap!r}, expected one of {', '.join(SNAPS)}")
        if self.snap != "none" and self.clip_stride is not None:
            raise ConfigError("--snap key-frames and --clip-stride exclude each other: clips begin where the source's key frames are")
        if self.clip_frames and self.clip_frames < self.min_frames:
            raise ConfigError(f"--clip-frames {self.clip_frames} is below --min-frames {self.min_frames}; lower --min-frames too")
        for name in ("min_frames", "clip_stride", "clips_per_shard", "bytes_per_shard", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name.replace('_', '-')} is {value}, expected at least 1")
        if self.clip_frames < 0 or (self.clip_stride is not None and not self.clip_frames):
            raise ConfigError("--clip-frames must not be negative, and --clip-stride needs it to be positive")
        if abs(sum(self.split_shares.values()) - 1) > 1e-6 or min(self.split_shares.values()) < 0:
            raise ConfigError(f"split shares {dict(self.split_shares)} must not be negative and add up to 1")
        if self.scene_cuts:
            require_scene_detection()

    def document(self) -> dict[str, Any]:
        """The policy as JSON types."""
        return asdict(self)
