"""Survivors to samples, one by one: video by recorded byte range, then truth, then labels; what cannot be read is skipped if asked to."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from pipeline.audit.stored.audit_rows import AuditShard
from pipeline.border import border
from pipeline.errors import DataError, StorageError, UnexpectedError
from pipeline.labels import kind_named
from pipeline.records import ClipRecord, ClipSample, TrackLabels
from pipeline.records.pixel_transforms import Framing, framing_of
from pipeline.shards.index import ARRAYS, read_member, read_video
from pipeline.stream.clip_arrays import add_labels, add_truth, hide_outside, is_withheld, valid_mask
from pipeline.stream.config import StreamConfig
from pipeline.stream.order import window_indices
from pipeline.stream.survivors import Survivor
from pipeline.stream.trust import add_trust, clip_trust
from pipeline.video.reader import read_clip_frames

_log = logging.getLogger(__name__)

T = TypeVar("T")
SKIP = 'stream with on_error="skip"'


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedClip:
    """Stands for a clip that could not be read, so that workers' turns stay in step."""

    key: str
    index: int


class ItemReader(Generic[T]):
    """Reads clips of one dataset, and counts how many on end could not be read."""

    def __init__(self, config: StreamConfig, read_one: Callable[[StreamConfig, Survivor], T]) -> None:
        self._config, self._read_one = config, read_one
        self._skips_in_row = 0

    def read(self, survivor: Survivor) -> T | SkippedClip:
        """One clip. Raises: DataError or StorageError if it cannot be read, unless `on_error` is "skip"."""
        try:
            item = self._assembled(survivor)
        except (DataError, StorageError) as error:
            self._skips_in_row += 1
            if self._config.on_error == "raise" or self._skips_in_row > self._config.max_skips_in_row:
                raise
            _log.warning("skipped: %s", error)
            return SkippedClip(key=survivor.entry.key, index=survivor.index)
        self._skips_in_row = 0
        return item

    def _assembled(self, survivor: Survivor) -> T:
        try:
            with border(_where(self._config, survivor)):
                return self._read_one(self._config, survivor)
        except UnexpectedError as error:
            raise UnexpectedError(f'{error}; make this shard again, or stream with on_error="skip"', error.kind, error.trace) from error


def assemble(config: StreamConfig, survivor: Survivor, *, frames: np.ndarray | None = None) -> ClipSample:
    """Read and decode one clip, windowed and brought to a size as configured.

    Where labels were asked for, tracks (or depth) are the label set's, also on a clip that has true ones; all else stays the clip's
    own. `supervision` is the clip's: metric if its arrays are in metres and delivered, else pseudo. With an audit, the tracks come with
    their weights. Where a size crops or pads, tracks are seen, asked for and weighed within the picture alone: see `hide_outside`.

    Args:
        frames: int64 "T", increasing, of the stored clip, in the place of a window.
    Raises: DataError or StorageError, naming shard, clip and remedy, if anything of the clip cannot be read.
    """
    framing = _framing(config, _record(survivor))
    with explained(config, survivor, f"make this shard again, or {SKIP}"):
        sample = _of_clip(config, survivor, framing, frames)
    with explained(config, survivor, f"or {SKIP}"):
        sample = _with_labels(sample, survivor, framing)
    return hide_outside(sample, framing.picture) if config.size is not None and config.fit != "stretch" else sample


@contextmanager
def explained(config: StreamConfig, survivor: Survivor, remedy: str) -> Iterator[None]:
    """Add the clip and the remedy to what goes wrong within."""
    where = _where(config, survivor)
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error}; {remedy}") from error
    except StorageError as error:
        raise StorageError(f"{where}: {error}; {remedy}") from error


def _where(config: StreamConfig, survivor: Survivor) -> str:
    return f"{config.root}: shard {survivor.shard:06d}, clip {survivor.entry.key}"


def _of_clip(config: StreamConfig, survivor: Survivor, framing: Framing, frames: np.ndarray | None) -> ClipSample:
    entry = survivor.entry
    record = _record(survivor)
    indices = window_indices(config, survivor.index, record.frames) if frames is None else frames
    with_truth = config.arrays and not is_withheld(config, record)
    is_metric = record.is_metric and with_truth
    sample = ClipSample(
        key=entry.key,
        source=entry.source,
        split=entry.split,
        index=survivor.index,
        frames=_frames(config, survivor, indices, framing),
        frame_indices=indices,
        frame_times=np.asarray(record.timestamps)[indices] - record.timestamps[0],
        valid_mask=valid_mask(framing) if config.size is not None and config.fit == "pad" else None,
        supervision="metric" if is_metric else "pseudo",
        is_metric=is_metric,
        dataset=config.dataset,
        license=entry.license,
        extra=record.extra,
    )
    arrays = entry.member(ARRAYS)
    if arrays is not None and with_truth:
        sample = add_truth(sample, read_member(config.root, entry, arrays), record, framing)
    return sample


def _with_labels(sample: ClipSample, survivor: Survivor, framing: Framing) -> ClipSample:
    for shard in survivor.labels:
        frames = sample.frame_indices.tolist() if kind_named(shard.kind).dense else None
        labels = shard.labels(survivor.entry.key, frames=frames)
        sample = add_labels(sample, labels, _record(survivor), framing)
        if survivor.audit is not None and isinstance(labels, TrackLabels):
            sample = _with_trust(sample, labels, survivor.audit)
    return sample


def _with_trust(sample: ClipSample, labels: TrackLabels, audit: AuditShard) -> ClipSample:
    key = sample.key
    trust, verdict = clip_trust(audit, key, labels), audit.clip(key).verdict.decision
    if trust is None:
        file = audit.uri.rsplit("/", 1)[-1]
        raise DataError(f"{audit.uri}: verdict {verdict}, but no track was measured; delete {file} and run jobs/audit.py run again")
    return add_trust(sample, trust, verdict)


def _framing(config: StreamConfig, record: ClipRecord) -> Framing:
    stored = (record.height, record.width)
    return framing_of(stored, config.size or stored, config.fit)


def _frames(config: StreamConfig, survivor: Survivor, indices: np.ndarray, framing: Framing) -> np.ndarray:
    record = _record(survivor)
    data = read_video(config.root, survivor.entry)
    size = None if framing.scaled == (record.height, record.width) else framing.scaled
    crop = None if framing.is_whole else framing.rectangle
    return read_clip_frames(data, record, indices=indices.tolist(), size=size, crop=crop, threads=config.decoder_threads)


def _record(survivor: Survivor) -> ClipRecord:
    assert survivor.entry.record is not None, "a failed clip is no survivor"
    return survivor.entry.record
