"""Planned clips from the sequences of a dataset: a pure function of their listing and of the options that decide the bytes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from pipeline.datasets.source import SequenceInfo, TruthSource
from pipeline.errors import ConfigError, DataError
from pipeline.shards.dataset import DatasetIdentity
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.plan import PlannedClip, assign_shards, extra_json
from pipeline.shards.policy import CLIPS_PER_SHARD, slug, source_hash, split_of
from pipeline.shards.windows import windows_of
from pipeline.video.groups import Span


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
    clips_per_shard: int = CLIPS_PER_SHARD
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


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedSequences:
    """The clips of a dataset, and the sequences that give none."""

    clips: tuple[PlannedClip, ...]
    errors: tuple[ErrorRow, ...]


def plan_sequences(source: TruthSource, sequences: Sequence[SequenceInfo], policy: ConversionPolicy) -> PlannedSequences:
    """Windows of all sequences, numbered into shards. A sequence that is too short for a clip is an error."""
    clips, errors = [], []
    for sequence in sequences:
        windows = windows_of(Span(0, sequence.num_frames), policy.clip_frames, policy.clip_stride or policy.clip_frames, policy.min_frames)
        if windows:
            clips += [_planned(source, sequence, policy, number=number, window=window) for number, window in enumerate(windows)]
        else:
            error = DataError(
                f"{sequence.name}: {sequence.num_frames} frames, fewer than --min-frames {policy.min_frames}; lower it to take the sequence"
            )
            errors.append(ErrorRow(stage="plan", key="", source=sequence.name, exception="DataError", message=str(error)))
    limited = islice(clips, policy.limit)
    placed = assign_shards(limited, clips_per_shard=policy.clips_per_shard, bytes_per_shard=None)
    return PlannedSequences(clips=tuple(placed), errors=tuple(errors))


def _planned(source: TruthSource, sequence: SequenceInfo, policy: ConversionPolicy, *, number: int, window: Span) -> PlannedClip:
    scene = f"{source.name}/{sequence.scene or sequence.name}"
    return PlannedClip(
        shard=0,
        key=f"{slug(sequence.name)}-{source_hash(f'{source.name}/{sequence.name}')}-w{number:04d}",
        source=sequence.name,
        source_uri=f"{source.name}/{sequence.name}",  # where the dataset lies on this machine is no part of the plan
        source_id=scene,
        split=sequence.split or split_of(scene, policy.split_shares),
        license=source.license,
        first_frame=window.first,
        num_frames=window.count,
        span_first=0,
        span_frames=sequence.num_frames,
        video="images" if source.keep_images else "h264",
        extra=extra_json({"scene": sequence.scene, "prescribed_split": sequence.split, "reader": dict(sequence.extra)}),
    )


def sequence_of(clip: PlannedClip) -> SequenceInfo:
    """The sequence that a planned clip is a window of, as the listing gave it."""
    extra = json.loads(clip.extra)
    return SequenceInfo(
        name=clip.source,
        num_frames=int(clip.span_frames or 0),
        split=extra["prescribed_split"],
        scene=extra["scene"],
        extra=extra["reader"],
    )


def identity_of(dataset: str, sequences: Sequence[SequenceInfo], policy: ConversionPolicy) -> DatasetIdentity:
    """The identity of a converted dataset. Where it lies on this machine is no part of it."""
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(json.dumps({**asdict(sequence), "extra": dict(sequence.extra)}, sort_keys=True).encode() + b"\n")
    return DatasetIdentity(kind="converted", inputs_sha256=digest.hexdigest(), policy={"dataset": dataset, **policy.document()})
