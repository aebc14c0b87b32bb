"""Auditing one shard: clip after clip is decoded, its labels are judged, and the shard's audit is committed."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import storage
from pipeline.audit.auditing import (
    AuditedTracks,
    BackwardTracker,
    clip_measures,
    hide_outside,
    measure_clip_pictures,
    stored_tracks,
    weigh_tracks,
)
from pipeline.audit.labelled_clips import AuditSettings, LabelledShard, open_labelled_shard
from pipeline.audit.stored.audit_rows import writing_audit_shard
from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.audit.stored.screen import ScreenRow
from pipeline.audit.tracks.cycle import CycleMeasures, cycle_measures
from pipeline.audit.verdict import clip_verdict, verdict_of
from pipeline.border import begin_part, border
from pipeline.errors import DataError, UnexpectedError
from pipeline.layout import Layout
from pipeline.records import ClipFrames, ClipRecord, TrackLabels
from pipeline.shards.errors_table import ErrorRow, write_errors
from pipeline.shards.index import ClipEntry, read_video, tar_uri
from pipeline.shards.suspects import hold_back_suspects
from pipeline.video.reader import StoredClip, VideoData

_LOG = logging.getLogger(__name__)
_WITHOUT_LABELS = {"screened": "screened", "failed": "label_failed", "quarantined": "label_quarantined"}  # status -> reason


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardAudited:
    """Outcome and cost of auditing one shard."""

    clips: int
    errors: int
    ways_lost: int  # clips whose way back failed: their cycle is unknown
    video_s: float  # length of the clips whose labels were measured
    cpu_s: float


def audit_shard(
    settings: AuditSettings, shard: int, crashed: Mapping[str, str], track_backward: BackwardTracker | None = None
) -> ShardAudited:
    """Judge every clip of a labelled shard, and commit its audit. Of one clip at a time the encoded video, the tracks and a
    few frames are held.

    Args:
        crashed: clips that killed their process, and what is to be said of them: they are not tried.
        track_backward: follows tracks back again; for cycle "retrack".
    Raises: StorageError when bytes cannot be read or written just now, DataError for a table that is not what it should be; nothing
        is committed then.
    """
    started, video_s = time.process_time(), 0.0
    errors: list[ErrorRow] = []
    auditor = _Auditor(settings, open_labelled_shard(settings, shard), track_backward)
    again = storage.exists(Layout(settings.root).audit_shard(settings.audit, shard))
    with writing_audit_shard(settings.root, settings.audit, shard) as add:
        for entry in auditor.shard.entries:
            begin_part(entry.key)
            clip = auditor.clip(entry, crashed.get(entry.key))
            add(clip)
            video_s += clip.video_s if clip.tracks is not None else 0.0
            if clip.verdict.decision == "error" or entry.key in auditor.unexpected:
                errors.append(_error_row(settings, entry, clip, auditor.unexpected.get(entry.key)))
        begin_part(None)
        hold_back_suspects(errors, len(auditor.shard.entries))
        if not again:
            write_errors(settings.root, f"audit/{settings.audit}", shard, errors)
    if again:  # killed in between, the old errors still ask for another try
        write_errors(settings.root, f"audit/{settings.audit}", shard, errors)
    _LOG.info("shard %06d: %d clips audited, %d in error", shard, len(auditor.shard.entries), len(errors))
    return ShardAudited(
        clips=len(auditor.shard.entries),
        errors=len(errors),
        ways_lost=auditor.ways_lost,
        video_s=video_s,
        cpu_s=time.process_time() - started,
    )


def audit_clip(settings: AuditSettings, shard: int, key: str, track_backward: BackwardTracker | None = None) -> ClipAudit:
    """One clip of a shard alone; nothing is written. Raises as `audit_shard` does, and DataError if the shard has no such clip."""
    labelled = open_labelled_shard(settings, shard)
    entry = next((entry for entry in labelled.entries if entry.key == key), None)
    if entry is None:
        raise DataError(f"shard {shard:06d} has no clip {key}")
    return _Auditor(settings, labelled, track_backward).clip(entry, None)


class _Auditor:
    """Judges the clips of one shard."""

    def __init__(self, settings: AuditSettings, shard: LabelledShard, track_backward: BackwardTracker | None) -> None:
        self._settings, self.shard, self._track_backward = settings, shard, track_backward
        self.ways_lost = 0
        self.unexpected: dict[str, UnexpectedError] = {}  # by key: what nobody foresaw, in the clip or on its way back

    def clip(self, entry: ClipEntry, crash: str | None) -> ClipAudit:
        """The clip's audit. What a broken clip raises ends here."""
        if self.shard.tombstones.cover(entry):
            return ClipAudit(key=entry.key, verdict=verdict_of(["tombstoned"]))
        facts = _facts(entry)
        if crash is not None:
            return ClipAudit(**facts, verdict=verdict_of(["unreadable"]), error=crash)
        try:
            with border(f"clip {entry.key}"):
                labels = self.shard.label(entry)
                screen = self.shard.screen(entry)
                reasons = () if screen is None else screen.verdict.reasons
                if labels.status != "ok":
                    verdict = verdict_of([*reasons, _WITHOUT_LABELS[labels.status]])
                    return ClipAudit(**facts, verdict=verdict, error=labels.error or (screen.error if screen else None))
                tracks, other = self.shard.tracks(entry), self.shard.second_opinion(entry)
        except DataError as error:
            self._note(entry, error)
            return ClipAudit(**facts, verdict=verdict_of(["contract"]), error=str(error))
        record = entry.record
        if record is None:
            return ClipAudit(**facts, verdict=verdict_of(["contract"]), error=f"clip {entry.key} has labels, but was not cut")
        try:
            with border(f"clip {entry.key}"):
                data = read_video(self._settings.root, entry)
                audited = self._judged(entry, record, data, tracks, other)
                return self._measured(record, audited, facts, screen)
        except DataError as error:
            self._note(entry, error)
            message = f"{tar_uri(self._settings.root, entry)}: clip {entry.key}: {str(error).removeprefix(f'clip {entry.key}: ')}"
            return ClipAudit(**facts, verdict=verdict_of([*reasons, "unreadable"]), error=message)

    def _measured(self, record: ClipRecord, audited: AuditedTracks, facts: Mapping[str, Any], screen: ScreenRow | None) -> ClipAudit:
        size = {"height": record.height, "width": record.width}
        measures = clip_measures(audited, **size)
        verdict = clip_verdict(measures, self._settings.rules, screen=screen.verdict if screen else None)
        _LOG.debug("clip %s audited: %s", record.key, verdict.decision)
        error_text = screen.error if screen and verdict.decision == "error" else None
        return ClipAudit(**facts, verdict=verdict, error=error_text, measures=measures, tracks=stored_tracks(audited, **size))

    def _note(self, entry: ClipEntry, error: DataError) -> None:
        if isinstance(error, UnexpectedError):
            self.unexpected.setdefault(entry.key, error)

    def _judged(
        self, entry: ClipEntry, record: ClipRecord, data: VideoData, labels: TrackLabels, other: TrackLabels | None
    ) -> AuditedTracks:
        by_pictures = measure_clip_pictures(labels, StoredClip(data, record))
        cycle = self._cycle(entry, record, data, labels)
        return weigh_tracks(labels, by_pictures, calibration=self._settings.calibration, cycle=cycle, other=other)

    def _cycle(self, entry: ClipEntry, record: ClipRecord, data: VideoData, labels: TrackLabels) -> CycleMeasures | None:
        """The way back, where it is to be followed again. One that fails leaves the cycle unknown, and is counted."""
        if self._track_backward is None:
            return None
        clean = hide_outside(labels, height=record.height, width=record.width)
        try:
            with border(f"clip {entry.key}"):
                back = self._track_backward(ClipFrames(key=entry.key, reader=StoredClip(data, record), queries=labels.queries), clean)
                return cycle_measures(clean, back, height=record.height, width=record.width)
        except DataError as error:
            self._note(entry, error)
            self.ways_lost += 1
            _LOG.warning("clip %s: its tracks could not be followed back (%s); their cycle stays unknown", entry.key, error)
            return None


def _facts(entry: ClipEntry) -> dict[str, Any]:
    record = entry.record
    if record is None:
        return {"key": entry.key, "license": entry.license}
    return {
        "key": entry.key,
        "clip_sha256": record.sha256,
        "video_s": record.end_s - record.start_s,
        "num_frames": record.frames,
        "width": record.width,
        "height": record.height,
        "license": entry.license,
    }


def _error_row(settings: AuditSettings, entry: ClipEntry, clip: ClipAudit, unexpected: UnexpectedError | None) -> ErrorRow:
    stage = f"audit/{settings.audit}"
    if unexpected is not None:
        return ErrorRow.of(unexpected, stage=stage, key=entry.key, source=entry.source)
    return ErrorRow(stage=stage, key=entry.key, source=entry.source, exception=clip.verdict.reasons[0], message=str(clip.error))
