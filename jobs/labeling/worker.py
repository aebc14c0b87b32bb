"""One labeler at work: fetches and decodes clips ahead, labels them in batches, gives encoded rows back."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import cv2
import pyarrow as pa

from jobs.labeling.items import ItemSummary, LabelItem, row_without_labels
from labelers import QueryPolicy, choose_queries, make_labeler
from pipeline.errors import DataError, StorageError, TrackmillError
from pipeline.labels import LabelRow, encode_rows
from pipeline.records import ClipFrames, FrameReader, FramesInMemory, TrackLabels
from pipeline.shards.index import ClipEntry, read_member, tar_uri
from pipeline.video.reader import StoredClip, read_clip_frames

_LOG = logging.getLogger(__name__)


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
            failed=len(ordered) - len(ok),
            points=sum(row.labels.visibility.size for row in ok if row.labels is not None),
            busy_s=self._idle_since - started,
            waited_s=waited_s,
        )
        return LabelledItem(table=encode_rows(ordered), summary=summary)

    def _prepare(self, item: LabelItem) -> _Prepared:
        """Fetch, decode, choose queries."""
        prepared = _Prepared()
        for entry in item.entries:
            if entry.record is None:
                prepared.rows[entry.key] = row_without_labels(entry, "failed", "the clip was not cut; see errors/shards")
                continue
            try:
                reader = self._frames_of(entry)
                queries = choose_queries(reader, self._settings.queries, key=entry.key)
                prepared.clips.append((entry, ClipFrames(key=entry.key, reader=reader, queries=queries)))
            except DataError as error:
                prepared.rows[entry.key] = row_without_labels(entry, "failed", f"{tar_uri(self._settings.root, entry)}: {error}")
        return prepared

    def _frames_of(self, entry: ClipEntry) -> FrameReader:
        if entry.record is None:
            raise DataError(f"clip {entry.key} was not cut")
        data = read_member(self._settings.root, entry, entry.video)
        if entry.record.frames > self._settings.frames_in_memory:
            return StoredClip(data, entry.record, self._settings.threads)
        return FramesInMemory(read_clip_frames(data, entry.record, threads=self._settings.threads))

    def _label(self, prepared: _Prepared) -> dict[str, LabelRow]:
        """Label the batch together; if that fails, clip by clip, so that only the bad one is lost."""
        clips = [clip for _, clip in prepared.clips]
        try:
            labels: list[TrackLabels | str] = list(self._labeler.label(clips)) if clips else []
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001  the per-clip border of this job: a labeler may fail in any way
            _LOG.info("batch of %d clips failed (%s); labelling them one by one", len(clips), error)
            labels = [self._label_alone(clip) for clip in clips]
        return {entry.key: _row(entry, result) for (entry, _), result in zip(prepared.clips, labels, strict=True)}

    def _label_alone(self, clip: ClipFrames) -> TrackLabels | str:
        try:
            return self._labeler.label([clip])[0]
        except StorageError:
            raise
        except TrackmillError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  see above
            return f"clip {clip.key}: {type(error).__name__}: {error}"


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
