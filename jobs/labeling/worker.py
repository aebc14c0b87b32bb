"""One labeler at work: fetches and decodes clips ahead, labels them in batches, gives encoded rows back."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.execution.threads import pin_threads
from jobs.labeling.batch import label_batch, label_there_and_back
from jobs.labeling.compute import check_device
from jobs.labeling.outcome import NOT_CUT, EncodedClip, Unlabelled, at_border, encode_clip
from jobs.labeling.read_ahead import ReadAhead
from jobs.labeling.screened import DroppedClips
from jobs.labeling.shards import ItemSummary, LabelItem
from labelers import QueryPolicy, choose_queries, make_labeler
from pipeline.records import ClipFrames, ClipRecord, FrameReader, FramesInMemory, TrackLabels
from pipeline.shards.index import ClipEntry, read_video, tar_uri
from pipeline.shards.tombstones import read_tombstones
from pipeline.shards.track_truth import read_track_truth
from pipeline.video.reader import StoredClip, read_clip_frames

_LOG = logging.getLogger(__name__)
FRAMES_IN_MEMORY = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """Settings of a worker, sent to every process."""

    root: str
    labeler: str
    labeler_options: Mapping[str, Any]
    queries: QueryPolicy | None  # None for labels of a kind that has none
    threads: int = 1  # of OpenCV and torch in the labeler, and of the decoder
    frames_in_memory: int = FRAMES_IN_MEMORY  # longer clips are read as a stream; the labels are the same
    screened: bool = False  # leave out what the screen dropped
    cycle: bool = False  # follow every track back
    kind: str = TrackLabels.kind  # of the labels

    def make_worker(self) -> "LabelWorker":
        """The worker. Raises: ConfigError if the labeler cannot be made as asked, or its device is not there."""
        return LabelWorker(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledItem:
    """Encoded rows of an item's clips, in order, and what the driver needs to know."""

    table: pa.Table
    summary: ItemSummary


@dataclass(slots=True)
class _Prepared:
    clips: list[tuple[ClipEntry, ClipFrames]] = field(default_factory=list)
    left_out: dict[str, Unlabelled] = field(default_factory=dict)  # by key: the clips that are not for the labeler

    def waited_s(self) -> float:
        """That the labeler stood still within streams of frames."""
        return sum(clip.reader.waited_s for _, clip in self.clips if isinstance(clip.reader, ReadAhead))


class LabelWorker:
    """Labels items. `label_item` may be called from several threads: decoding runs beside labelling, labelling alone.

    Raises: ConfigError if the labeler cannot be made as asked, or its device is not there.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        check_device(settings.labeler_options)
        self._settings = settings
        self._labeler = make_labeler(settings.labeler, **settings.labeler_options)
        self._tombstones = read_tombstones(settings.root)
        self._dropped = DroppedClips(settings.root) if settings.screened else None
        self._lock = Lock()
        self._idle_since = time.perf_counter()

    def label_item(self, item: LabelItem) -> LabelledItem:
        """Label the clips of one item. A clip that fails becomes a row that says why."""
        prepared = self._prepare(item)
        label = label_there_and_back if self._settings.cycle else label_batch
        with self._lock:
            pin_threads(self._settings.threads)
            started, idle_since = time.perf_counter(), self._idle_since
            results = {**prepared.left_out, **label(self._labeler, self._settings.labeler, [clip for _, clip in prepared.clips])}
            ended = self._idle_since = time.perf_counter()
        clips = [encode_clip(entry, results[entry.key], self._settings.kind) for entry in item.entries]
        waited_s = prepared.waited_s()
        summary = item_summary(clips, busy_s=max(ended - started - waited_s, 0.0), waited_s=started - idle_since + waited_s)
        return LabelledItem(table=pa.concat_tables([clip.table for clip in clips]), summary=summary)

    def _prepare(self, item: LabelItem) -> _Prepared:
        """Fetch, decode, choose queries."""
        prepared = _Prepared()
        for entry in item.entries:
            left_out = self._left_out(item.shard, entry)
            if left_out is not None or entry.record is None:
                prepared.left_out[entry.key] = left_out or Unlabelled(status="failed", reason=NOT_CUT)
                continue
            clip = at_border(entry.key, partial(self._clip_of, entry, entry.record))
            if isinstance(clip, Unlabelled):
                prepared.left_out[entry.key] = replace(clip, reason=f"{tar_uri(self._settings.root, entry)}: {clip.reason}")
            else:
                prepared.clips.append((entry, clip))
        return prepared

    def _left_out(self, shard: int, entry: ClipEntry) -> Unlabelled | None:
        """Why a clip is not to be labelled, known without its video. None if it is."""
        if self._tombstones.cover(entry):
            return Unlabelled(status="screened", reason="tombstoned")
        reason = self._dropped.reason(shard, entry.key) if self._dropped else None
        return Unlabelled(status="screened", reason=reason) if reason else None

    def _clip_of(self, entry: ClipEntry, record: ClipRecord) -> ClipFrames:
        """The clip with its queries: decoded, or as a stream if it is long."""
        data, settings = read_video(self._settings.root, entry), self._settings
        if record.frames > settings.frames_in_memory:
            stored = StoredClip(data, record, settings.threads)
            return ClipFrames(key=entry.key, reader=ReadAhead(stored), queries=self._queries(entry, stored))
        frames = FramesInMemory(read_clip_frames(data, record, threads=settings.threads))
        return ClipFrames(key=entry.key, reader=frames, queries=self._queries(entry, frames))

    def _queries(self, entry: ClipEntry, reader: FrameReader) -> np.ndarray:
        policy = self._settings.queries
        if policy is None:
            return np.zeros((0, 3), np.float32)
        truth = read_track_truth(self._settings.root, entry) if policy.policy == "truth" else None
        return choose_queries(reader, policy, key=entry.key, truth=truth)


def item_summary(clips: Sequence[EncodedClip], *, busy_s: float, waited_s: float) -> ItemSummary:
    """What the driver needs to know of an item's clips."""
    statuses = [clip.row.status for clip in clips]
    return ItemSummary(
        ok=statuses.count("ok"),
        failed=statuses.count("failed"),
        quarantined=statuses.count("quarantined"),
        screened=statuses.count("screened"),
        degraded=sum(clip.row.notes is not None for clip in clips),
        values=sum(clip.num_values for clip in clips),
        busy_s=busy_s,
        waited_s=waited_s,
        unexpected={clip.row.key: clip.unexpected for clip in clips if clip.unexpected is not None},
    )
