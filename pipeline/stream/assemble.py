"""One survivor to one ClipSample: video by recorded byte range, then truth, then labels."""

import numpy as np

from pipeline.errors import DataError, StorageError
from pipeline.records import ClipRecord, ClipSample
from pipeline.shards.index import read_member, read_video
from pipeline.stream.config import StreamConfig
from pipeline.stream.survivors import Survivor
from pipeline.stream.tracks import add_labels
from pipeline.stream.truth import MEMBER, add_truth
from pipeline.stream.windows import window_indices
from pipeline.video.reader import read_clip_frames

_REMEDY = 'make this shard again, or stream with on_error="skip"'


def assemble(config: StreamConfig, survivor: Survivor) -> ClipSample:
    """Read and decode one clip, windowed and resized as configured.

    Where labels were asked for, tracks are the label set's, also on a clip that has true ones; cameras and depth stay the
    clip's own. `supervision` is the clip's: metric if its arrays are in metres, else pseudo.

    Raises: DataError or StorageError, naming shard, clip and remedy, if anything of the clip cannot be read.
    """
    where = f"{config.root}: shard {survivor.shard:06d}, clip {survivor.entry.key}"
    try:
        return _assemble(config, survivor)
    except DataError as error:
        raise DataError(f"{where}: {error}; {_REMEDY}") from error
    except StorageError as error:
        raise StorageError(f"{where}: {error}; {_REMEDY}") from error


def _assemble(config: StreamConfig, survivor: Survivor) -> ClipSample:
    entry = survivor.entry
    record = _record(survivor)
    indices = window_indices(config, survivor.index, record.frames)
    is_metric = record.is_metric and config.arrays
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
    if arrays is not None and config.arrays:
        sample = add_truth(sample, read_member(config.root, entry, arrays), record)
    if survivor.labels is not None:
        sample = add_labels(sample, survivor.labels.labels(entry.key), record)
    return sample


def _frames(config: StreamConfig, survivor: Survivor, indices: np.ndarray) -> np.ndarray:
    record = _record(survivor)
    data = read_video(config.root, survivor.entry)
    size = None if config.size == (record.height, record.width) else config.size
    return read_clip_frames(data, record, indices=indices.tolist(), size=size, threads=config.decoder_threads)


def _record(survivor: Survivor) -> ClipRecord:
    assert survivor.entry.record is not None, "a failed clip is no survivor"
    return survivor.entry.record
