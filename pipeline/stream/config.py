"""The one configuration of the stream."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.records.pixel_transforms import FITS, Fit

AUDIT_KEEPS = ("keep", "quarantine")  # an audit's drops and errors are never delivered
SHORT_CLIPS = ("keep", "skip")
ON_ERROR = ("raise", "skip")


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamConfig:
    """One dataset as one infinite sequence of clips, or `epochs` passes over it; this process reads its share of it."""

    root: str  # local path (a Path serves too) or fsspec URL of the dataset
    name: str | None = None  # what its samples call it; None: the last part of root
    labels: str | Sequence[str] | None = None  # label set, or one per kind: only clips with ok labels in all of them are delivered
    audit: str | None = None  # audit of that label set to obey: clips that it keeps, with weights; `labels` may be left out then
    audit_keeps: tuple[str, ...] = ("keep",)  # verdicts that are delivered; "quarantine" may be added
    arrays: bool = True  # False: cameras, depth and true tracks stay on disk, and the clips count as pseudo-labelled
    evaluation_truth: bool = False  # truth meant for evaluation stays on disk; True: delivered too, to measure with it, not to train on
    split: str | None = None  # train | val | test; None takes all
    num_frames: int | None = 24  # length of a window; None delivers whole clips
    frame_stride: int = 1  # stored frames from one delivered frame to the next
    short_clips: str = "keep"  # keep: clips too short for a window come whole, at this stride, with their true length; skip: left out
    size: tuple[int, int] | None = None  # (H, W) that all is brought to; None keeps each clip's stored size
    fit: Fit = "crop"  # to `size`. crop: cover it and cut the centre; pad: lie within, `valid_mask` says where; stretch: lose proportions
    seed: int = 0
    rank: int = 0  # which of the `world_size` readers this is
    world_size: int = 1
    epochs: int | None = None  # passes before the end; None never ends
    shuffle: bool = True  # False: plan order, and windows still drawn
    shuffle_block: int = 8  # shards whose clips are mixed with each other, and whose metadata lie in memory at once
    on_error: str = "raise"  # what a clip that cannot be read does: raise, or skip (logged and counted)
    max_skips_in_row: int = 16  # skipping this many clips on end is no bad clip but a bad disk or network: an error again
    decoder_threads: int = 1  # per clip; 0 lets the decoder choose. Frames do not depend on it

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", os.fspath(self.root))
        object.__setattr__(self, "labels", _one_or_sorted(self.labels))
        positive = ("frame_stride", "world_size", "shuffle_block", "max_skips_in_row")
        for name, least in {**dict.fromkeys(positive, 1), "num_frames": 1, "epochs": 1, "seed": 0, "rank": 0, "decoder_threads": 0}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"StreamConfig: {name} is {value}, expected at least {least}")
        if self.rank >= self.world_size:
            raise ConfigError(f"StreamConfig: rank is {self.rank}, expected below world_size, which is {self.world_size}")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ConfigError(f"StreamConfig: size is {self.size}, expected (height, width) in pixels, or None for the stored size")
        for name, known in (("short_clips", SHORT_CLIPS), ("fit", FITS), ("on_error", ON_ERROR)):
            if getattr(self, name) not in known:
                raise ConfigError(f"StreamConfig: {name} is {getattr(self, name)!r}, expected one of {', '.join(known)}")
        self._check_audit()
        if self.evaluation_truth and not self.arrays:
            raise ConfigError("StreamConfig: evaluation_truth asks for truth that arrays=False leaves on disk; set one of them")

    def _check_audit(self) -> None:
        keeps = self.audit_keeps
        if isinstance(keeps, str) or not keeps or not set(keeps) <= set(AUDIT_KEEPS):
            raise ConfigError(f"StreamConfig: audit_keeps is {keeps!r}, expected a tuple of one or more of {', '.join(AUDIT_KEEPS)}")
        object.__setattr__(self, "audit_keeps", tuple(name for name in AUDIT_KEEPS if name in keeps))
        if self.audit is None and self.audit_keeps != ("keep",):
            raise ConfigError(f"StreamConfig: audit_keeps is {keeps!r} without an audit; name the audit, or leave audit_keeps out")

    @property
    def label_sets(self) -> tuple[str, ...]:
        """The label sets that were asked for."""
        labels = self.labels
        return () if labels is None else (labels,) if isinstance(labels, str) else tuple(labels)

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.name or self.root.rstrip("/").rsplit("/", 1)[-1]


def _one_or_sorted(labels: object) -> str | tuple[str, ...] | None:
    """A name, or several in an order that does not depend on how they were given. Raises ConfigError for anything else."""
    if labels is None or isinstance(labels, str):
        return labels
    names = tuple(labels) if isinstance(labels, Sequence) else ()
    if not names or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise ConfigError(f"StreamConfig: labels is {labels!r}, expected a label set's name, or names of several, one per kind")
    return names[0] if len(names) == 1 else tuple(sorted(names))
