"""Probing as a stage of its own: what every source holds, in tables that a later run finds again."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError, StorageError
from pipeline.layout import Layout
from pipeline.shards.policy import ClipPolicy
from pipeline.tables import read_table, write_table
from pipeline.video.probe import VideoProbe, probe_video
from pipeline.video.scenes import scene_cuts


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One video to probe."""

    uri: str
    relative_uri: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProbedSource:
    """What probing found in one source: a probe, or why there is none."""

    source: Source
    probe: VideoProbe | None = None
    cuts: tuple[int, ...] = ()
    error: str | None = None

    @property
    def no_clip_across(self) -> tuple[int, ...]:
        """Frames that begin a scene, or a part with another clock, in order."""
        return tuple(sorted({*self.cuts, *(self.probe.breaks if self.probe else ())}))


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


def probe_group(root: str, number: int, sources: Sequence[Source], policy: ClipPolicy, crashed: Mapping[str, str]) -> int:
    """Probe one group of sources and publish its table.

    Args:
        crashed: sources (by relative uri) that killed a worker, and what is to be said of them; they are not opened again.
    Returns: how many of them have an error.
    Raises: StorageError if a file that is there cannot be read, or the table not be written.
    """
    found = [_crashed(source, crashed) if source.relative_uri in crashed else probe_source(source, policy) for source in sources]
    write_table(Layout(root).probe(number), pa.Table.from_pylist([_row(item) for item in found], schema=_SCHEMA), "probe")
    return sum(item.error is not None for item in found)


def probe_source(source: Source, policy: ClipPolicy) -> ProbedSource:
    """Probe one source, with scene detection where the policy asks for it. A bad video is an error in the result."""
    try:
        probe = probe_video(source.uri, source.relative_uri)
        cuts = scene_cuts(source.uri, source.relative_uri, probe, threshold=policy.scene_threshold) if policy.scene_cuts else ()
    except DataError as error:
        return ProbedSource(source=source, error=str(error))
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return ProbedSource(source=source, error=str(error))
        raise
    for note in probe.notes:
        _logger.info("%s: %s", source.relative_uri, note)
    return ProbedSource(source=source, probe=probe, cuts=cuts)


def read_probe_group(root: str, number: int) -> list[ProbedSource]:
    """The sources of one probe table, in order."""
    return [_probed(row) for row in read_table(Layout(root).probe(number), "probe").to_pylist()]


def _crashed(source: Source, crashed: Mapping[str, str]) -> ProbedSource:
    return ProbedSource(source=source, error=crashed[source.relative_uri])


def _row(item: ProbedSource) -> dict[str, Any]:
    row: dict[str, Any] = {"relative_uri": item.source.relative_uri, "uri": item.source.uri, "error": item.error}
    if item.probe is None:
        return row
    plain = {name: getattr(item.probe, name) for name in _PLAIN}
    lists = {name: getattr(item.probe, name).tolist() for name in ("pts", "key_pts", "damaged")}
    lists |= {"cuts": list(item.cuts), "breaks": list(item.probe.breaks), "notes": list(item.probe.notes)}
    for name, like in _LIKE.items():  # most sources store no frame before its time: half the table
        found = getattr(item.probe, name)
        lists[name] = None if found is None or np.array_equal(found, getattr(item.probe, like)) else found.tolist()
    return {**row, **plain, **lists, "time_base": str(item.probe.time_base)}


def _probed(row: dict[str, Any]) -> ProbedSource:
    source = Source(uri=row["uri"], relative_uri=row["relative_uri"])
    if row["error"] is not None:
        return ProbedSource(source=source, error=row["error"])
    probe = VideoProbe(
        **{name: row[name] for name in _PLAIN},
        time_base=Fraction(row["time_base"]),
        pts=np.array(row["pts"], np.int64),
        key_pts=np.array(row["key_pts"], np.int64),
        damaged=np.array(row["damaged"], np.int64),
        packet_pts=None if row["packet_pts"] is None else np.array(row["packet_pts"], np.int64),
        clean_key_pts=None if row["clean_key_pts"] is None else np.array(row["clean_key_pts"], np.int64),
        breaks=tuple(row["breaks"]),
        notes=tuple(row["notes"]),
    )
    return ProbedSource(source=source, probe=probe, cuts=tuple(row["cuts"]))
