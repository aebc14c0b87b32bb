"""The stream as a webdataset pipeline: samples as they lie in the tars, with labels and weights, split by node and worker.

The one file here that loads webdataset, and with it torch: `pipeline.stream` does without.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import webdataset as wds

from pipeline.errors import ConfigError
from pipeline.labels import is_kind
from pipeline.records import TrackLabels
from pipeline.shards.index import ARRAYS, read_sample, tar_uri
from pipeline.stream.assemble import SKIP, ItemReader, SkippedClip, explained
from pipeline.stream.clip_arrays import is_withheld
from pipeline.stream.clip_stream import ClipStream
from pipeline.stream.config import StreamConfig
from pipeline.stream.join import label_fields
from pipeline.stream.survivors import Survivor

Sample = dict[str, Any]


def webdataset_pipeline(config: StreamConfig) -> wds.DataPipeline:
    """The clips of a ClipStream of this configuration, in its order, as samples of webdataset: `.compose(...)` adds stages of your own.

    A sample is a whole clip as it is stored: `__key__` (the clip's key, which occurs once in a dataset, also where keys of registered
    tars repeat), `__url__` (its tar), and the bytes of its members by their suffix, such as `mp4`, `json` and `arrays.npz`. The video
    is checked against its recorded hash. With labels, and with an audit, it has the fields `labels.*` that `join_labels` describes;
    with labels of several kinds, tracks have those, and others say their kind (`labels.depth.depth`, `labels.depth.status`).
    To decode members of it, name them: `wds.decode(only=["json"])`; webdataset's decoders refuse fields that are None.

    Clips are fetched by their recorded byte range, so that all roots serve, registered tars and s3:// too, and what is failed,
    tombstoned, unlabelled or not kept by the audit is never read. Truth that the configuration withholds is left out of the members.

    Clips, not tars, are dealt to nodes and to the DataLoader's workers in turn: put together they give every clip once per epoch, and
    the shares of one epoch differ by one clip at most. `rank` and `world_size` of the configuration say which node this is; without
    them webdataset does (RANK and WORLD_SIZE in the environment, else torch.distributed, which spawned workers do not see).
    A pipeline begins at the start each time: to resume a training use ClipStream or its torch adapter.

    Args:
        config: with `num_frames=None`. With `epochs=None` samples come without end; webdataset's `.with_epoch(n)` takes n at a time.
    Raises: ConfigError for a configuration that cuts or resizes clips, an unknown label set or audit, and an audit of other labels.
    """
    changed = [name for name, whole in (("num_frames", None), ("frame_stride", 1), ("size", None)) if getattr(config, name) != whole]
    if changed:
        raise ConfigError(
            f"StreamConfig: {changed[0]} is {getattr(config, changed[0])}, but samples of webdataset are whole clips as they are stored;"
            " set num_frames=None, frame_stride=1, size=None, or use ClipStream"
        )
    config = ClipStream(config).config  # checks the label set and the audit, and names those that it took from the other
    by_node = wds.split_by_node if config.world_size == 1 else _OneOf(config.rank, config.world_size)
    return wds.DataPipeline(_Clips(config), by_node, wds.split_by_worker, _Stored(config))


@dataclass(frozen=True, slots=True)
class _Clips:
    """First stage: the clips of all nodes, by their metadata alone. Opens the stream where it is read, be it in another process."""

    config: StreamConfig

    def __call__(self) -> Iterator[Survivor]:
        return ClipStream(self.config, announce=False).survivors_from(0)


@dataclass(frozen=True, slots=True)
class _OneOf:
    """Every `world_size`-th clip."""

    rank: int
    world_size: int

    def __call__(self, clips: Iterable[Survivor]) -> Iterator[Survivor]:
        return islice(clips, self.rank, None, self.world_size)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Last stage: clips to samples. What cannot be read is an error, or left out with `on_error="skip"`."""

    config: StreamConfig

    def __call__(self, clips: Iterable[Survivor]) -> Iterator[Sample]:
        reader = ItemReader(self.config, stored_sample)
        for item in map(reader.read, clips):
            if not isinstance(item, SkippedClip):
                yield item


def stored_sample(config: StreamConfig, clip: Survivor) -> Sample:
    """Members and labels of one clip. Raises: DataError or StorageError, naming shard, clip and remedy, if they cannot be read."""
    entry = clip.entry
    assert entry.record is not None, "a failed clip is no survivor"
    with_truth = config.arrays and not is_withheld(config, entry.record)
    with explained(config, clip, f"make this shard again, or {SKIP}"):
        members = read_sample(config.root, entry, leave_out=() if with_truth else (ARRAYS,))
    sample = {"__key__": entry.key, "__url__": tar_uri(config.root, entry), **members}
    with explained(config, clip, f"or {SKIP}"):
        return {**sample, **_labels_of(clip)}


def _labels_of(clip: Survivor) -> Sample:
    """Fields of all label sets. Tracks among several kinds keep the names that `join_labels` gives them; the others say their kind."""
    found: Sample = {}
    for shard in clip.labels:
        is_tracks = is_kind(shard.kind, TrackLabels.kind)
        named = label_fields(clip.entry, shard, clip.audit, kind=shard.kind, audited=is_tracks and clip.audit is not None)
        prefix = "labels." if is_tracks or len(clip.labels) == 1 else f"labels.{shard.kind}."
        found |= {prefix + name.removeprefix("labels."): value for name, value in named.items()}
    return found
