"""Screening one shard: its clips are decoded once, small, measured and judged; then the table is committed."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.audit.clips import SmallClip, VideoMeasures, frame_rate, measure_video
from pipeline.audit.stored.screen import ScreenRow, write_screen
from pipeline.audit.verdict import ScreenRules, screen_verdict, verdict_of
from pipeline.border import begin_part, border
from pipeline.errors import DataError
from pipeline.layout import Layout
from pipeline.records import ClipRecord
from pipeline.shards.errors_table import ErrorRow, errors_beside
from pipeline.shards.index import ClipEntry, read_index, read_video, tar_uri
from pipeline.shards.suspects import hold_back_suspects
from pipeline.shards.tombstones import read_tombstones

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardScreen:
    """Outcome and cost of screening one shard."""

    clips: int
    errors: int
    video_s: float  # length of the clips that were measured
    cpu_s: float  # spent on them: reading, decoding, measuring


def screen_shard(root: str, shard: int, rules: ScreenRules, crashed: Mapping[str, str]) -> ShardScreen:
    """Measure and judge every clip of a shard, and commit its screen.

    Args:
        crashed: clips that killed their process, and what is to be said of them: they are not tried.
    Raises: StorageError when bytes cannot be read or written just now; on trial, SuspectUnitError. Nothing is committed then.
    """
    entries, tombstones, started = read_index(root, shard), read_tombstones(root), time.process_time()
    rows: list[ScreenRow] = []
    errors: list[ErrorRow] = []
    for entry in entries:
        begin_part(entry.key)
        if tombstones.cover(entry):
            rows.append(ScreenRow(key=entry.key, verdict=verdict_of(["tombstoned"]), rules=rules.version))
            continue
        row, error = _screened(root, entry, rules, crashed.get(entry.key))
        rows.append(row)
        errors += [] if error is None else [error]
    begin_part(None)
    cpu_s = time.process_time() - started
    hold_back_suspects(errors, len(rows))
    with errors_beside(root, "screen", shard, errors, commit=Layout(root).screen_shard(shard)):
        write_screen(root, shard, rows)
    _LOG.info("shard %06d: %d clips screened, %d failed", shard, len(rows), len(errors))
    measured = {row.key for row in rows if row.measures is not None}
    video_s = sum(entry.record.end_s - entry.record.start_s for entry in entries if entry.record and entry.key in measured)
    return ShardScreen(clips=len(rows), errors=len(errors), video_s=video_s, cpu_s=cpu_s)


def measure_stored(root: str, entry: ClipEntry, record: ClipRecord) -> VideoMeasures:
    """The measures of a stored clip. Raises DataError if it does not decode, or not to what its record says; StorageError."""
    return measure_video(SmallClip(read_video(root, entry), record), fps=frame_rate(record.timestamps))


def _screened(root: str, entry: ClipEntry, rules: ScreenRules, crash: str | None) -> tuple[ScreenRow, ErrorRow | None]:
    """The row of one clip, and its error if it cannot be measured. What a broken clip raises ends here."""
    record = entry.record
    if record is None:
        return _failed(entry, "not_cut", DataError(f"clip {entry.key} was not cut; see errors/shards"), rules)
    if crash is not None:
        return _failed(entry, "unreadable", DataError(crash), rules)
    try:
        with border(f"clip {entry.key}"):
            measures = measure_stored(root, entry, record)
            verdict = screen_verdict(measures, rules)
            row = ScreenRow(key=entry.key, verdict=verdict, rules=rules.version, clip_sha256=record.sha256, measures=measures)
    except DataError as error:
        return _failed(entry, "unreadable", error, rules, where=tar_uri(root, entry))
    _LOG.debug("clip %s measured", entry.key)
    return row, None


def _failed(entry: ClipEntry, reason: str, error: DataError, rules: ScreenRules, *, where: str = "") -> tuple[ScreenRow, ErrorRow]:
    message = f"{where}: clip {entry.key}: {str(error).removeprefix(f'clip {entry.key}: ')}" if where else str(error)
    sha256 = None if entry.record is None else entry.record.sha256
    row = ScreenRow(key=entry.key, verdict=verdict_of([reason]), rules=rules.version, clip_sha256=sha256, error=message)
    said = ErrorRow.of(error, stage="screen", key=entry.key, source=entry.source)
    return row, replace(said, message=message, exception=said.exception if said.unexpected else reason)
