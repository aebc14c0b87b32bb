"""One clip's row in a label set: what became of it, and its labels when it could be labelled; rows of any kind as a table, and back.

A table on its way to its file holds the bytes of a dense kind's files in `members`; the file itself holds their byte ranges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.labels.kinds import LabelKind, kind_named, kind_of_file
from pipeline.labels.kinds.kind import CLIP_COLUMNS, MEMBERS
from pipeline.records import Labels, TrackLabels

STATUSES = ("ok", "screened", "failed", "quarantined")
_MEMBERS_WITH_BYTES = pa.list_(pa.struct({"name": pa.string(), "data": pa.large_binary()}))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelRow:
    """A clip of the shard with its status. Only `ok` rows hold labels; a failed or quarantined row says why in `error`.

    `ok`: labelled. `screened`: left out by the video-only filters. `failed`: decoding or the labeler raised an error.
    `quarantined`: killed its worker, or ran past its time limit, as often as was allowed.
    """

    key: str
    status: str
    labels: Labels | None = None
    clip_sha256: str | None = None  # of the video member that was labelled
    num_frames: int | None = None  # of the clip, as are width and height; None where the clip has no video
    width: int | None = None
    height: int | None = None
    error: str | None = None
    notes: str | None = None  # how this clip was labelled, where that differs from the set's rule (a lower rung of the memory ladder)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise DataError(f"clip {self.key}: status is {self.status!r}, expected one of {', '.join(STATUSES)}")
        if (self.status == "ok") != (self.labels is not None):
            raise DataError(f"clip {self.key}: status is {self.status} {'without' if self.labels is None else 'with'} labels")
        if self.status in ("failed", "quarantined") and not self.error:
            raise DataError(f"clip {self.key}: status is {self.status}, but no error says why")
        if self.labels is not None:
            self._check_labels(self.labels)

    def _check_labels(self, labels: Labels) -> None:
        if self.clip_sha256 is None or self.num_frames is None or self.width is None or self.height is None:
            missing = [name for name in ("clip_sha256", "num_frames", "width", "height") if getattr(self, name) is None]
            raise DataError(f"clip {self.key}: labels without {', '.join(missing)} of the clip")
        try:
            kind_named(labels.kind).check(labels, self.num_frames, self.height, self.width)
        except DataError as error:
            raise DataError(f"clip {self.key}: {error}") from error


def table_schema(kind: LabelKind) -> pa.Schema:
    """The schema of rows on their way to a label file."""
    if not kind.dense:
        return kind.schema
    return kind.schema.set(kind.schema.get_field_index(MEMBERS), pa.field(MEMBERS, _MEMBERS_WITH_BYTES))


def encode_rows(rows: Sequence[LabelRow], kind: str = TrackLabels.kind) -> pa.Table:
    """Rows of one kind as a table. Raises DataError, naming the clip, for labels of another kind, or that the columns cannot hold."""
    of_kind = kind_named(kind)
    schema = table_schema(of_kind)
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    for row in rows:
        for name, value in (_clip_values(row) | _label_values(row, of_kind)).items():
            columns[name].append(value)
    return pa.table(columns, schema=schema)


def decode_labels(table: pa.Table, row: int, files: Mapping[str, bytes], *, where: str = "labels") -> Labels:
    """The labels of one row of a label table. Raises DataError, naming file and clip, if they do not fit.

    Args:
        files: of a dense kind, by name: those of the frames that are wanted.
    """
    key = table["key"][row].as_py()
    try:
        labels: Labels = kind_of_file(table.schema.metadata).decode(table, row, files)
    except (DataError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where}: clip {key}: {error}; label this shard again") from error
    return labels


def decode_row(table: pa.Table, row: int, *, where: str = "labels") -> LabelRow:
    """One row of a table of `encode_rows` as the record it was made from."""
    values = {name: table[name][row].as_py() for name in CLIP_COLUMNS}
    if values["status"] != "ok":
        return LabelRow(**values)
    return LabelRow(**values, labels=decode_labels(table, row, row_files(table, row), where=where))


def row_files(table: pa.Table, row: int) -> dict[str, bytes]:
    """The files of one row of a table that holds their bytes, by name; none where there are no labels, or the kind is not dense."""
    cell = table[MEMBERS][row].as_py() if MEMBERS in table.column_names else None
    return {member["name"]: member["data"] for member in cell or ()}


def _clip_values(row: LabelRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in CLIP_COLUMNS}


def _label_values(row: LabelRow, kind: LabelKind) -> dict[str, Any]:
    if row.labels is None:
        return dict.fromkeys(kind.own_columns)
    if row.labels.kind != kind.name:
        raise DataError(f"clip {row.key}: its labels are {row.labels.kind}, those of the set are {kind.name}")
    try:
        return kind.encode(row.labels)
    except DataError as error:
        raise DataError(f"clip {row.key}: {error}") from error
