"""Survivors to samples, one by one: video by recorded byte range, then truth, then labels; what cannot be read is skipped if asked to."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from pipeline.border import border
from pipeline.errors import DataError, StorageError, UnexpectedError
from pipeline.records import ClipRecord, ClipSample
from pipeline.shards.index import ARRAYS, read_member, read_video
from pipeline.stream.clip_arrays import add_labels, add_truth, is_withheld
from pipeline.stream.config import StreamConfig
from pipeline.stream.order import window_indices
from pipeline.stream.survivors import Survivor
from pipeline.stream.trust import add_trust, clip_trust
from pipeline.video.reader import read_clip_frames

_log = logging.getLogger(__name__)

_SKIP = 'stream with on_error="skip"'


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedClip:
    """Stands for a clip that could not be read, so that workers' turns stay in step."""

    key: str
    index: int


class ItemReader:
    """Reads clips of one dataset, and counts how many on end could not be read."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._skips_in_row = 0

    def read(self, survivor: Survivor) -> ClipSample | SkippedClip:
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

    def _assembled(self, survivor: Survivor) -> ClipSample:
        where = f"{self._config.root}: shard {survivor.shard:06d}, clip {survivor.entry.key}"
        try:
            with border(where):
                return assemble(self._config, survivor)
        except UnexpectedError as error:
            raise UnexpectedError(f'{error}; make this shard again, or stream with on_error="skip"', error.kind, error.trace) from error


def assemble(config: StreamConfig, survivor: Survivor) -> ClipSample:
    """Read and decode one clip, windowed and resized as configured.

    Where labels were asked for, tracks are the label set's, also on a clip that has true ones; cameras and depth stay the
    clip's own. `supervision` is the clip's: metric if its arrays are in metres and delivered, else pseudo. With an audit, the tracks
    come with their weights.

    Raises: DataError or StorageError, naming shard, clip and remedy, if anything of the clip cannot be read.
    """
    where = f"{config.root}: shard {survivor.shard:06d}, clip {survivor.entry.key}"
    with _explained(where, f"make this shard again, or {_SKIP}"):
        sample = _of_clip(config, survivor)
    with _explained(where, f"or {_SKIP}"):
        return _with_labels(sample, survivor)


@contextmanager
def _explained(where: str, remedy: str) -> Iterator[None]:
    """Add the clip and the remedy to what goes wrong within."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error}; {remedy}") from error
    except StorageError as error:
        raise StorageError(f"{where}: {error}; {remedy}") from error


def _of_clip(config: StreamConfig, survivor: Survivor) -> ClipSample:
    entry = survivor.entry
    record = _record(survivor)
    indices = window_indices(config, survivor.index, record.frames)
    with_truth = config.arrays and not is_withheld(config, record)
    is_metric = record.is_metric and with_truth
    sample = ClipSample(
        key=entry.key,
        source=entry.source,
        split=entry.split,
        index=survivor.index,
        frames=_frames(config, survivor, indices),
        frame_indices=indices,
        frame_times=np.asarray(record.timestamps)[indices] - record.timestamps[0],
        supervision="metric" if is_metric else "pseudo",
        is_metric=is_metric,
        dataset=config.dataset,
        license=entry.license,
        extra=record.extra,
    )
    arrays = entry.member(ARRAYS)
    if arrays is not None and with_truth:
        sample = add_truth(sample, read_member(config.root, entry, arrays), record)
    return sample


def _with_labels(sample: ClipSample, survivor: Survivor) -> ClipSample:
    if survivor.labels is None:
        return sample
    key, audit = survivor.entry.key, survivor.audit
    labels = survivor.labels.labels(key)
    sample = add_labels(sample, labels, _record(survivor))
    if audit is None:
        return sample
    trust, verdict = clip_trust(audit, key, labels), audit.clip(key).verdict.decision
    if trust is None:
        file = audit.uri.rsplit("/", 1)[-1]
        raise DataError(f"{audit.uri}: verdict {verdict}, but no track was measured; delete {file} and run jobs/audit.py run again")
    return add_trust(sample, trust, verdict)


def _frames(config: StreamConfig, survivor: Survivor, indices: np.ndarray) -> np.ndarray:
    record = _record(survivor)
    data = read_video(config.root, survivor.entry)
    size = None if config.size == (record.height, record.width) else config.size
    return read_clip_frames(data, record, indices=indices.tolist(), size=size, threads=config.decoder_threads)


def _record(survivor: Survivor) -> ClipRecord:
    assert survivor.entry.record is not None, "a failed clip is no survivor"
    return survivor.entry.record
