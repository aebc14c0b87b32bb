"""Outcome of one clip: its labels or an error, and the encoded row."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import pyarrow as pa

from pipeline.border import border
from pipeline.errors import MemoryExhausted, StorageError, TrackmillError, UnexpectedError
from pipeline.labels import LabelRow, encode_rows
from pipeline.records import Labels
from pipeline.shards.index import ClipEntry

Result = TypeVar("Result")
L = TypeVar("L", bound=Labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlabelled:
    """A clip without labels."""

    status: str  # screened | failed | quarantined, as in LabelRow
    reason: str
    unexpected: UnexpectedError | None = None  # where nobody foresaw it


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedClip:
    """A clip's row, and the same encoded."""

    row: LabelRow
    table: pa.Table  # one row
    unexpected: UnexpectedError | None = None  # why there are no labels, where nobody foresaw it

    @property
    def num_values(self) -> int:
        """Values labelled: point-frames of tracks, pixels of depth."""
        return 0 if self.row.labels is None else self.row.labels.num_values


def at_border(key: str, work: Callable[[], Result]) -> Result | Unlabelled:
    """The per-clip border of this job: what `work` gives, or what went wrong with this clip. A labeler may fail in any way.

    Raises: StorageError, which is not the clip's fault; a full disk is one.
    """
    try:
        with border(f"clip {key}"):
            return work()
    except StorageError:
        raise
    except MemoryExhausted as error:
        return Unlabelled(status="quarantined", reason=str(error))
    except UnexpectedError as error:
        return Unlabelled(status="failed", reason=str(error), unexpected=error)
    except TrackmillError as error:
        return Unlabelled(status="failed", reason=str(error))


def noted(labels: L, note: str | None, *, first: bool = False) -> L:
    """The labels with one more word, if any, on how they were made otherwise than configured: after what they say already, or before."""
    said = [note, labels.degraded] if first else [labels.degraded, note]
    return replace(labels, degraded="; ".join(filter(None, said)) or None)


def encode_clip(entry: ClipEntry, result: Labels | Unlabelled, kind: str) -> EncodedClip:
    """The row of one clip of a set of this kind. Labels that do not fit the clip or the format make it a failed one."""
    record = entry.record
    if isinstance(result, Unlabelled) or record is None:
        outcome = result if isinstance(result, Unlabelled) else Unlabelled(status="failed", reason=NOT_CUT)
        return _encoded(row_without_labels(entry, outcome), kind, outcome.unexpected)
    labels = result

    def encoded() -> EncodedClip:
        return _encoded(
            LabelRow(
                key=entry.key,
                status="ok",
                labels=labels,
                clip_sha256=record.sha256,
                num_frames=record.frames,
                width=record.width,
                height=record.height,
                notes=labels.degraded,
            ),
            kind,
        )

    made = at_border(entry.key, encoded)
    return _encoded(row_without_labels(entry, made), kind, made.unexpected) if isinstance(made, Unlabelled) else made


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


def _encoded(row: LabelRow, kind: str, unexpected: UnexpectedError | None = None) -> EncodedClip:
    return EncodedClip(row=row, table=encode_rows([row], kind), unexpected=unexpected)
