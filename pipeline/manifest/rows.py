"""From one row of a table to the clips it asks for."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from string import Formatter
from typing import Any

from pipeline import storage
from pipeline.errors import DataError
from pipeline.manifest.cells import Cells, as_text, json_row, json_value
from pipeline.manifest.finder import FileFinder
from pipeline.manifest.inputs import ManifestOptions, ProblemKind, RowProblem
from pipeline.manifest.presets import PathTemplate, Preset, RowNames
from pipeline.manifest.tables import TableRow
from pipeline.manifest.text import RAW_BYTE, utf8_remedy
from pipeline.manifest.timestamps import Bounds, bounds_of, parse_list, parse_spans, parse_time, span_bounds
from pipeline.video.picture_folder import numbered_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundClip:
    """One clip whose file is there."""

    uri: str
    video_id: str | None = None
    bounds: Bounds = field(default_factory=Bounds)
    camera: str | None = None  # as the row names it
    camera_uri: str | None = None  # None: the row names none, or it is not there
    license: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    row: int | None = None
    fps: float | None = None  # of a folder of pictures; None: a video


class MissingVideoError(DataError):
    """The file that a row speaks of is not there."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that could be read, and its names."""

    number: int
    cells: Cells
    names: RowNames


@dataclass(frozen=True, kw_only=True, slots=True)
class RowReader:
    """Reads the rows of one table."""

    manifest: str
    columns: Mapping[str, str]  # role -> column
    preset: Preset
    options: ManifestOptions
    videos: FileFinder
    cameras: FileFinder

    def read(self, row: TableRow) -> Iterator[FoundClip | RowProblem]:
        """The clips of a row; what cannot be used is a problem with the row's number."""
        try:
            if row.values is None:
                raise DataError(row.error or "cannot be read")
            self._check_finite(row.values)
            values = json_row(row.values, names=self._naming, remedy=utf8_remedy(self.manifest))
            cells = Cells(values, self.columns)
            named = _Row(row.number, cells, self.preset.name_row(cells))
            uri, place = self._locate(named)
            self._check_file(uri)
            if place.whole:
                yield self._clip(named, uri, Bounds())
            elif "clips" in self.columns:
                yield from self._exploded(named, uri)
            else:
                yield self._clip(named, uri, self._bounds(named))
        except DataError as error:
            yield self._problem(row.number, error)

    @property
    def _naming(self) -> set[str]:
        """Columns that files are named by."""
        by_template = {name for _, name, _, _ in Formatter().parse(self.options.path_template or "") if name}
        return by_template | {self.columns[role] for role in ("path", "id", "camera") if role in self.columns}

    def _check_finite(self, values: Mapping[str, Any]) -> None:
        for role in ("start", "end", "duration", "start_frame", "end_frame", "base_fps"):
            value = values.get(self.columns[role]) if role in self.columns else None
            if isinstance(value, float | Decimal) and math.isinf(value):
                raise DataError(
                    f"column {self.columns[role]!r} is infinite; leave the cell empty for the end of the video, or drop the row"
                )

    def _check_file(self, uri: str) -> None:
        path = storage.unescape_name(uri)
        if self.videos.is_folder(uri):
            if not numbered_folder(path):
                raise DataError(f"{uri} is a folder without pictures, expected a video; correct or drop the row")
            if self.options.picture_fps is None:
                raise DataError(f"{uri} is a folder of pictures; say how many of them make a second (--fps), or drop the row")
        elif storage.is_local(path) and (fault := storage.fault_of(path)) is not None:
            raise DataError(f"{uri} {fault}")

    def _locate(self, row: _Row) -> tuple[str, PathTemplate]:
        """The row's file, at the first place where there is one."""
        places, tried = self._path_templates(), []
        given = {"path": row.cells.text("path"), "video_id": row.names.video_id, "clip_id": row.names.clip_id}
        values = {name: as_text(value) for name, value in {**row.cells.values, **given}.items() if value is not None}
        for place in places:
            try:
                name = place.template.format_map(values)
            except KeyError:  # the row does not say what this place is named after
                continue
            tried.append(name)
            uri = self.videos.named(name) if place.anywhere else self.videos.at(name)
            if uri is not None:
                return uri, place
        if not tried:
            names = " or ".join(place.template for place in places)
            raise DataError(f"the row does not say which video it is about (no {names}); fill the cell or drop the row")
        raise MissingVideoError(
            f"there is no video {' nor '.join(map(storage.escape_name, tried))} below {storage.escape_name(self.videos.root)};"
            " fetch it, give the right --video-root, or drop the row"
        )

    def _path_templates(self) -> tuple[PathTemplate, ...]:
        template = self.options.path_template
        if template is None:
            return self.preset.path_templates
        whole = [place.whole for place in self.preset.path_templates]
        return (PathTemplate(template=template, whole=all(whole) or (any(whole) and "{clip_id}" in template), anywhere=False),)

    def _bounds(self, row: _Row) -> Bounds:
        cells, names = row.cells, row.names
        own_rate = cells.value("base_fps")
        base_fps = self.options.frame_base_fps or self.preset.base_fps if own_rate is None else parse_time(own_rate)
        if base_fps == 0:
            raise DataError(f"column {self.columns['base_fps']!r} is 0, expected frames per second; correct or drop the row")
        first, end = cells.value("start_frame"), cells.value("end_frame")
        return bounds_of(
            cells.value("start"),
            self._end(cells),
            start_frame=names.start_frame if first is None else first,
            end_frame=names.end_frame if end is None else end,
            base_fps=base_fps,
        )

    def _end(self, cells: Cells) -> Any:
        """The end of a clip; where a row says how long it is, its start and that together."""
        end, duration = cells.value("end"), cells.value("duration")
        if end is not None or duration is None:
            return end
        start = cells.value("start")
        return round((0.0 if start is None else parse_time(start)) + parse_time(duration), 6)

    def _exploded(self, row: _Row, uri: str) -> Iterator[FoundClip | RowProblem]:
        """One clip per span of the row; lists with an entry per span are shared out."""
        cell, column = row.cells.value("clips"), self.columns["clips"]
        if cell is None:
            raise DataError(f"column {column!r} is empty; give the clips as a list of [start, end], or drop the row")
        spans = parse_spans(cell)
        lists = {name: row.cells.values.get(name) for name in self.preset.per_clip}
        shared = {name: _entries(name, value, len(spans)) for name, value in lists.items() if value is not None}
        for place, span in enumerate(spans):
            own = {name: json_value(name, entries[place]) for name, entries in shared.items()}
            try:
                yield self._clip(row, uri, span_bounds(span), own)
            except DataError as error:
                yield self._problem(row.number, DataError(f"clip {place + 1} of {len(spans)} in {column!r}: {error}"))

    def _clip(self, row: _Row, uri: str, bounds: Bounds, own: Mapping[str, Any] | None = None) -> FoundClip:
        """`own` replaces columns of the row: then it is one of several clips, and no camera file can be exactly its."""
        used = {name for role, name in self.columns.items() if role not in self.preset.kept}
        camera = row.cells.text("camera") if own is None else None
        return FoundClip(
            uri=uri,
            video_id=None if row.names.video_id is None else storage.escape_name(row.names.video_id),
            bounds=bounds,
            camera=camera,
            camera_uri=None if camera is None else self.cameras.named(camera),
            license=row.cells.text("license") or self.options.license,
            extra={**{name: _storable(value) for name, value in row.cells.values.items() if name not in used}, **(own or {})},
            row=row.number,
            fps=self.options.picture_fps if self.videos.is_folder(uri) else None,
        )

    def _problem(self, number: int, error: DataError) -> RowProblem:
        kind: ProblemKind = "missing" if isinstance(error, MissingVideoError) else "broken"
        return RowProblem(manifest=self.manifest, row=number, kind=kind, message=str(error))


def _storable(value: Any) -> Any:
    """A cell that names a file may hold bytes that are no UTF-8."""
    return storage.escape_name(value) if isinstance(value, str) and RAW_BYTE.search(value) else value


def _entries(name: str, value: Any, count: int) -> list[Any]:
    try:
        entries = parse_list(value)
    except DataError as error:
        raise DataError(f"column {name!r}: {error}") from error
    if len(entries) != count:
        raise DataError(f"column {name!r} holds {len(entries)} entries for {count} clips; correct or drop the row")
    return entries
