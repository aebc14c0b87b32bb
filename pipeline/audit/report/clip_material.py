"""All that a card shows of one clip, read from the dataset; what cannot be read any more is a remark, never a failure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pipeline.audit.stored.audit_rows import read_audit_shard
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.stored.clip_audit import ClipAudit, TrackAudit
from pipeline.audit.stored.screen import ScreenRow, read_screen
from pipeline.audit.summing.records import ClipBrief
from pipeline.errors import DataError, TrackmillError
from pipeline.labels import read_label_shard
from pipeline.records import TrackLabels
from pipeline.shards.index import ClipEntry, read_index, read_video
from pipeline.shards.plan import read_shard_plan
from pipeline.shards.source_roots import read_source_roots
from pipeline.shards.tombstones import Tombstones
from pipeline.video.reader import VideoData

_Read = TypeVar("_Read")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipMaterial:
    """One clip of the report. Absent is what could not be read; `remarks` say why."""

    brief: ClipBrief
    audit: ClipAudit | None = None
    entry: ClipEntry | None = None
    screen: ScreenRow | None = None
    labels: TrackLabels | None = None
    video: VideoData | None = None
    source_uri: str | None = None
    forgotten: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def tracks(self) -> TrackAudit | None:
        """The audit's tracks, if labels of the same tracks are at hand."""
        return None if self.labels is None or self.audit is None else self.audit.tracks


def read_material(root: str, audit: AuditSet, brief: ClipBrief, tombstones: Tombstones) -> ClipMaterial:
    """Everything of one clip that can still be read. Of a clip that is to be forgotten, nothing."""
    remarks: list[str] = []
    try:
        entry = _entry(root, brief)
    except TrackmillError as error:
        return ClipMaterial(brief=brief, forgotten=brief.key in tombstones.keys, remarks=(_remark("the shard", error),))
    if tombstones.cover(entry):
        return ClipMaterial(brief=brief, forgotten=True)
    audited = _read("the audit", lambda: read_audit_shard(root, audit.name, brief.shard).whole(brief.key), remarks)
    screened = None if audit.screen is None else _read("the screen", lambda: _screen(root, brief), remarks)
    uri = _read("the plan", lambda: _source_uri(root, brief), remarks)
    video = None if entry.record is None else _read("the video", lambda: read_video(root, entry), remarks)
    labels = None
    if audited is not None and audited.tracks is not None:
        tracks = audited.tracks
        labels = _read("the labels", lambda: _labels(root, audit.label_set, brief, tracks), remarks)
    return ClipMaterial(
        brief=brief, audit=audited, entry=entry, screen=screened, labels=labels, video=video, source_uri=uri, remarks=tuple(remarks)
    )  # fmt: skip


def _read(what: str, reading: Callable[[], _Read], remarks: list[str]) -> _Read | None:
    try:
        return reading()
    except TrackmillError as error:
        remarks.append(_remark(what, error))
        return None


def _remark(what: str, error: TrackmillError) -> str:
    return f"{what} cannot be read any more: {error}"


def _entry(root: str, brief: ClipBrief) -> ClipEntry:
    found = next((entry for entry in read_index(root, brief.shard) if entry.key == brief.key), None)
    if found is None:
        raise DataError(f"clip {brief.key} is not in shard {brief.shard:06d}; the dataset was made anew, audit it again")
    return found


def _screen(root: str, brief: ClipBrief) -> ScreenRow | None:
    return next((row for row in read_screen(root, brief.shard) if row.key == brief.key), None)


def _source_uri(root: str, brief: ClipBrief) -> str | None:
    found = next((clip.source_uri for clip in read_shard_plan(root, brief.shard) if clip.key == brief.key), None)
    return None if found is None else read_source_roots(root).resolve(found)


def _labels(root: str, label_set: str, brief: ClipBrief, tracks: TrackAudit) -> TrackLabels:
    labels = read_label_shard(root, label_set, brief.shard).tracks(brief.key)
    if not np.array_equal(labels.queries, tracks.queries) or labels.visibility.shape != tracks.ncc.shape:
        raise DataError(f"clip {brief.key}: the labels are of other tracks than the audit; audit this shard again")
    return labels
