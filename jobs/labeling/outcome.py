"""What became of one clip: its labels, or why there are none; and the encoded row that says so."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import pyarrow as pa

from pipeline.errors import DataError, MemoryExhausted, StorageError, TrackmillError
from pipeline.labels import LabelRow, encode_rows
from pipeline.records import TrackLabels
from pipeline.shards.index import ClipEntry

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlabelled:
    """A clip without labels."""

    status: str  # screened | failed | quarantined, as in LabelRow
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedClip:
    """A clip's row, and the same encoded."""

    row: LabelRow
    table: pa.Table  # one row

    @property
    def num_points(self) -> int:
        """Point-frames labelled."""
        return 0 if self.row.labels is None else self.row.labels.visibility.size


def at_border(key: str, work: Callable[[], Result]) -> Result | Unlabelled:
    """The per-clip border of this job: what `work` gives, or what went wrong with this clip. A labeler may fail in any way.

    Raises: StorageError, which is not the clip's fault.
    """
    try:
        return work()
    except StorageError:
        raise
    except MemoryExhausted as error:
        return Unlabelled(status="quarantined", reason=str(error))
    except TrackmillError as error:
        return Unlabelled(status="failed", reason=str(error))
    except Exception as error:  # noqa: BLE001  see above
        return Unlabelled(status="failed", reason=f"clip {key}: {type(error).__name__}: {error}")


def noted(labels: TrackLabels, note: str | None, *, first: bool = False) -> TrackLabels:
    """The labels with one more word, if any, on how they were made otherwise than configured: after what they say already, or before."""
    said = [note, labels.degraded] if first else [labels.degraded, note]
    return replace(labels, degraded="; ".join(filter(None, said)) or None)


def encode_clip(entry: ClipEntry, result: TrackLabels | Unlabelled) -> EncodedClip:
    """The row of one clip. Labels that do not fit the clip or the format make it a failed one."""
    record = entry.record
    if isinstance(result, Unlabelled) or record is None:
        outcome = result if isinstance(result, Unlabelled) else Unlabelled(status="failed", reason=NOT_CUT)
        return _encoded(row_without_labels(entry, outcome))
    try:
        return _encoded(
            LabelRow(
                key=entry.key,
                status="ok",
                labels=result,
                clip_sha256=record.sha256,
                num_frames=record.frames,
                width=record.width,
                height=record.height,
                notes=result.degraded,
            )
        )
    except DataError as error:
        return _encoded(row_without_labels(entry, Unlabelled(status="failed", reason=str(error))))


NOT_CUT = "the clip was not cut; see errors/shards"


def row_without_labels(entry: ClipEntry, outcome: Unlabelled) -> LabelRow:
    """The row of a clip that could not be labelled."""
    record = entry.record
    if record is None:
        return LabelRow(key=entry.key, status=outcome.status, error=outcome.reason)
    return LabelRow(
        key=entry.key,
        status=outcome.status,
        clip_sha256=record.sha256,
        num_frames=record.frames,
        width=record.width,
        height=record.height,
        error=outcome.reason,
    )


def _encoded(row: LabelRow) -> EncodedClip:
    return EncodedClip(row=row, table=encode_rows([row]))
