"""Probing as a stage of its own: the contents of every source, in tables that a later run finds again."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.border import begin_part, border
from pipeline.errors import DataError, MissingSourceError, StorageError, UnexpectedError
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.source_roots import SourceRoots, read_source_roots
from pipeline.tables import read_table, table_bytes
from pipeline.video.picture import PictureTraits
from pipeline.video.picture_folder import probe_pictures
from pipeline.video.probe import VideoProbe, probe_video
from pipeline.video.scenes import scene_cuts

MISSING = MissingSourceError.__name__  # what an error row calls a source that cannot be found


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One video to probe."""

    uri: str  # where it lies now
    relative_uri: str
    reference: str = ""  # how tables name its place; empty: as `uri`
    fps: float | None = None  # of a folder of numbered pictures; None: a video

    @property
    def place(self) -> str:
        """Present address, as to be opened: `uri` with its escapes undone."""
        return storage.unescape_name(self.uri)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProbedSource:
    """Result of probing one source: a probe, or the error."""

    source: Source
    probe: VideoProbe | None = None
    cuts: tuple[int, ...] = ()
    error: str | None = None
    passing: ErrorRow | None = None  # no verdict: it could not be found, or failed in a way that nobody foresaw. The next run tries again

    @property
    def no_clip_across(self) -> tuple[int, ...]:
        """Frames that begin a scene, or a part with another clock, in order."""
        return tuple(sorted({*self.cuts, *(self.probe.breaks if self.probe else ())}))


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbedGroup:
    """A table of probed sources as Parquet, and those of which it holds nothing, because they are to be tried again."""

    table: bytes
    num_sources: int  # in the table
    passing: tuple[ErrorRow, ...]


_SCHEMA = pa.schema(
    {
        "relative_uri": pa.string(),
        "uri": pa.string(),
        "error": pa.string(),
        "codec": pa.string(),
        "pixel_format": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "quarter_turns": pa.int32(),
        "time_base": pa.string(),
        "video_bytes": pa.int64(),
        "pts": pa.list_(pa.int64()),
        "key_pts": pa.list_(pa.int64()),
        "cuts": pa.list_(pa.int32()),
        "picture": pa.string(),  # PictureTraits as JSON
        "stream": pa.int32(),
        "packet_pts": pa.list_(pa.int64()),  # null: as pts
        "clean_key_pts": pa.list_(pa.int64()),  # null: as key_pts
        "damaged": pa.list_(pa.int64()),
        "breaks": pa.list_(pa.int32()),
        "repaired": pa.bool_(),
        "lost": pa.string(),
        "notes": pa.list_(pa.string()),
    }
)
_PLAIN = ("codec", "pixel_format", "width", "height", "quarter_turns", "video_bytes", "stream", "repaired", "lost")


_LIKE = {"packet_pts": "pts", "clean_key_pts": "key_pts"}
_logger = logging.getLogger(__name__)


def group_sources(sources: Sequence[Source]) -> list[Sequence[Source]]:
    """Sources in groups, a probe table each: at most 64 a group, and at least 16 groups where there are enough."""
    size = max(1, min(64, math.ceil(len(sources) / 16)))
    return [sources[start : start + size] for start in range(0, len(sources), size)]


def probe_group(sources: Sequence[Source], policy: ClipPolicy, crashed: Mapping[str, str]) -> ProbedGroup:
    """Probe one group of sources.

    Args:
        crashed: sources (by relative uri) that killed a worker, and what is to be said of them; they are not opened again.
    Raises: StorageError if a file that is there cannot be read just now.
    """
    found = []
    for source in sources:
        begin_part(source.relative_uri)
        found.append(_crashed(source, crashed) if source.relative_uri in crashed else probe_source(source, policy))
    begin_part(None)
    kept = [item for item in found if item.passing is None]
    return ProbedGroup(
        table=table_bytes(pa.Table.from_pylist([_row(item) for item in kept], schema=_SCHEMA), "probe"),
        num_sources=len(kept),
        passing=tuple(item.passing for item in found if item.passing is not None),
    )


def probe_source(source: Source, policy: ClipPolicy) -> ProbedSource:
    """Probe one source, with scene detection where the policy asks for it. A bad video is an error in the result.

    Raises: StorageError if a file that is there cannot be read just now.
    """
    try:
        with border(source.relative_uri):
            probe = _probe(source)
            cuts = scene_cuts(source.place, source.relative_uri, probe, threshold=policy.scene_threshold) if policy.scene_cuts else ()
            for note in probe.notes:
                _logger.info("%s: %s", source.relative_uri, note)
            return ProbedSource(source=source, probe=probe, cuts=cuts)
    except UnexpectedError as error:
        return ProbedSource(source=source, passing=ErrorRow.of(error, stage="probe", key="", source=source.relative_uri))
    except (DataError, StorageError) as error:
        if not storage.exists(source.place):
            return ProbedSource(source=source, passing=missing_row(source))
        if isinstance(error, StorageError):
            raise
        return ProbedSource(source=source, error=str(error))


def _probe(source: Source) -> VideoProbe:
    if source.fps is None:
        return probe_video(source.place, source.relative_uri)
    return probe_pictures(source.place, source.relative_uri, source.fps)


def missing_row(source: Source) -> ErrorRow:
    """Error of a source that cannot be found."""
    message = f"{source.relative_uri}: there is no file {source.uri}; bring it back, and run the same command again"
    return ErrorRow(stage="probe", key="", source=source.relative_uri, exception=MISSING, message=message)


def read_probe_group(root: str, number: int) -> list[ProbedSource]:
    """The sources of one probe table, in order, where they lie now."""
    roots = read_source_roots(root)
    return [locate_source(item, roots) for item in probed_sources(read_table(Layout(root).probe(number), "probe"))]


def probed_sources(table: pa.Table) -> list[ProbedSource]:
    """The sources of a probe table, their places as the table names them."""
    return [_probed(row) for row in table.to_pylist()]


def locate_source(item: ProbedSource, roots: SourceRoots) -> ProbedSource:
    """The same source, where it lies now."""
    return replace(item, source=replace(item.source, uri=roots.resolve(item.source.uri), reference=item.source.uri))


def _crashed(source: Source, crashed: Mapping[str, str]) -> ProbedSource:
    return ProbedSource(source=source, error=crashed[source.relative_uri])


def _row(item: ProbedSource) -> dict[str, Any]:
    row: dict[str, Any] = {"relative_uri": item.source.relative_uri, "uri": item.source.reference or item.source.uri, "error": item.error}
    if item.probe is None:
        return row
    plain = {name: getattr(item.probe, name) for name in _PLAIN}
    lists = {name: getattr(item.probe, name).tolist() for name in ("pts", "key_pts", "damaged")}
    lists |= {"cuts": list(item.cuts), "breaks": list(item.probe.breaks), "notes": list(item.probe.notes)}
    for name, like in _LIKE.items():  # most sources store no frame before its time: half the table
        found = getattr(item.probe, name)
        lists[name] = None if found is None or np.array_equal(found, getattr(item.probe, like)) else found.tolist()
    return {**row, **plain, **lists, "time_base": str(item.probe.time_base), "picture": item.probe.picture.to_json()}


def _probed(row: dict[str, Any]) -> ProbedSource:
    source = Source(uri=row["uri"], relative_uri=row["relative_uri"])
    if row["error"] is not None:
        return ProbedSource(source=source, error=row["error"])
    probe = VideoProbe(
        **{name: row[name] for name in _PLAIN if row.get(name) is not None},  # tables of earlier versions lack some
        time_base=Fraction(row["time_base"]),
        pts=np.array(row["pts"], np.int64),
        key_pts=np.array(row["key_pts"], np.int64),
        picture=PictureTraits.from_json(row.get("picture")),
        damaged=np.array(row.get("damaged") or (), np.int64),
        packet_pts=_array(row.get("packet_pts")),
        clean_key_pts=_array(row.get("clean_key_pts")),
        breaks=tuple(row.get("breaks") or ()),
        notes=tuple(row.get("notes") or ()),
    )
    return ProbedSource(source=source, probe=probe, cuts=tuple(row["cuts"]))


def _array(values: list[int] | None) -> np.ndarray | None:
    return None if values is None else np.array(values, np.int64)
