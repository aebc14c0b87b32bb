"""One labeler at work: fetches and decodes clips ahead, labels them in batches, gives encoded rows back."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, TypeVar

import cv2
import pyarrow as pa

from jobs.labeling.items import ItemSummary, LabelItem, row_without_labels
from labelers import QueryPolicy, choose_queries, make_labeler
from pipeline.errors import DataError, StorageError, TrackmillError
from pipeline.labels import LabelRow, encode_rows
from pipeline.records import ClipFrames, FrameReader, FramesInMemory, TrackLabels
from pipeline.shards.index import ClipEntry, read_video, tar_uri
from pipeline.shards.tombstones import read_tombstones
from pipeline.video.reader import StoredClip, read_clip_frames

_LOG = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """What a worker is made from; it is sent to every process."""

    root: str
    labeler: str
    labeler_options: Mapping[str, Any]
    queries: QueryPolicy
    threads: int = 1  # of OpenCV in the labeler, and of the decoder
    frames_in_memory: int = 512  # longer clips are read as a stream


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledItem:
    """Encoded rows of an item's clips, in order, and what the driver needs to know."""

    table: pa.Table
    summary: ItemSummary


@dataclass(slots=True)
class _Prepared:
    clips: list[tuple[ClipEntry, ClipFrames]] = field(default_factory=list)
    rows: dict[str, LabelRow] = field(default_factory=dict)  # of the clips that cannot be labelled


class LabelWorker:
    """Labels items. `label_item` may be called from several threads: decoding runs beside labelling, labelling alone."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._labeler = make_labeler(settings.labeler, **settings.labeler_options)
        self._tombstones = read_tombstones(settings.root)
        self._lock = Lock()
        self._idle_since = time.perf_counter()
        cv2.setNumThreads(settings.threads)

    def label_item(self, item: LabelItem) -> LabelledItem:
        """Label the clips of one item. A clip that fails becomes a row that says why."""
        prepared = self._prepare(item)
        with self._lock:
            started = time.perf_counter()
            waited_s = started - self._idle_since
            rows = {**prepared.rows, **self._label(prepared)}
            self._idle_since = time.perf_counter()
        ordered = [rows[entry.key] for entry in item.entries]
        ok = [row for row in ordered if row.labels is not None]
        summary = ItemSummary(
            ok=len(ok),
            failed=sum(row.status == "failed" for row in ordered),
            screened=sum(row.status == "screened" for row in ordered),
            points=sum(row.labels.visibility.size for row in ok if row.labels is not None),
            busy_s=self._idle_since - started,
            waited_s=waited_s,
        )
        return LabelledItem(table=encode_rows(ordered), summary=summary)

    def _prepare(self, item: LabelItem) -> _Prepared:
        """Fetch, decode, choose queries."""
        prepared = _Prepared()
        for entry in item.entries:
            if self._tombstones.cover(entry):
                prepared.rows[entry.key] = row_without_labels(entry, "screened", "tombstoned")
                continue
            if entry.record is None:
                prepared.rows[entry.key] = row_without_labels(entry, "failed", "the clip was not cut; see errors/shards")
                continue
            clip = _at_border(entry.key, partial(self._clip_of, entry))
            if isinstance(clip, str):
                prepared.rows[entry.key] = row_without_labels(entry, "failed", f"{tar_uri(self._settings.root, entry)}: {clip}")
            else:
                prepared.clips.append((entry, clip))
        return prepared

    def _clip_of(self, entry: ClipEntry) -> ClipFrames:
        reader = self._frames_of(entry)
        return ClipFrames(key=entry.key, reader=reader, queries=choose_queries(reader, self._settings.queries, key=entry.key))

    def _frames_of(self, entry: ClipEntry) -> FrameReader:
        if entry.record is None:
            raise DataError(f"clip {entry.key} was not cut")
        data = read_video(self._settings.root, entry)
        if entry.record.frames > self._settings.frames_in_memory:
            return StoredClip(data, entry.record, self._settings.threads)
        return FramesInMemory(read_clip_frames(data, entry.record, threads=self._settings.threads))

    def _label(self, prepared: _Prepared) -> dict[str, LabelRow]:
        """Label the batch together; if that fails, clip by clip, so that only the bad one is lost."""
        clips = [clip for _, clip in prepared.clips]
        together = _at_border("batch", lambda: self._labeler.label(clips)) if clips else []
        if isinstance(together, str):
            _LOG.info("batch of %d clips failed (%s); labelling them one by one", len(clips), together)
            labels = [_at_border(clip.key, partial(self._label_alone, clip)) for clip in clips]
        else:
            labels = list(together)
        return {entry.key: _row(entry, result) for (entry, _), result in zip(prepared.clips, labels, strict=True)}

    def _label_alone(self, clip: ClipFrames) -> TrackLabels:
        return self._labeler.label([clip])[0]


def _at_border(key: str, work: Callable[[], Result]) -> Result | str:
    """The per-clip border of this job: what `work` gives, or what went wrong with this clip. A labeler may fail in any way.

    Raises: StorageError, which is not the clip's fault.
    """
    try:
        return work()
    except StorageError:
        raise
    except TrackmillError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  see above
        return f"clip {key}: {type(error).__name__}: {error}"


def _row(entry: ClipEntry, result: TrackLabels | str) -> LabelRow:
    if isinstance(result, str) or entry.record is None:
        return row_without_labels(entry, "failed", str(result))
    record = entry.record
    try:
        return LabelRow(
            key=entry.key,
            status="ok",
            labels=result,
            clip_sha256=record.sha256,
            num_frames=record.frames,
            width=record.width,
            height=record.height,
        )
    except DataError as error:
        return row_without_labels(entry, "failed", str(error))
