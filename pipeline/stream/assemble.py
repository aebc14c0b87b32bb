"""One survivor to one ClipSample: video by recorded byte range, then truth, then labels."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pipeline.errors import DataError, StorageError
from pipeline.records import ClipRecord, ClipSample
from pipeline.shards.index import read_member, read_video
from pipeline.stream.config import StreamConfig
from pipeline.stream.survivors import Survivor
from pipeline.stream.tracks import add_labels
from pipeline.stream.trust import add_trust, clip_trust
from pipeline.stream.truth import MEMBER, add_truth, is_withheld
from pipeline.stream.windows import window_indices
from pipeline.video.reader import read_clip_frames

_SKIP = 'stream with on_error="skip"'


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
    arrays = entry.member(MEMBER)
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
