"""Sources of a root: their names, their probes, and the frames of each that are planned already."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.layout import Layout, committed
from pipeline.shards.plan import read_plan_columns
from pipeline.shards.source_roots import SourceRoots
from pipeline.tables import read_table

_NUMBER = re.compile(r"-w(\d+)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownSource:
    """A source that was probed, or a tar that was registered."""

    name: str  # relative uri
    uri: str  # where it lies now
    table: int  # number of the probe table that speaks of it
    failed: bool  # no video, damaged, ...: a retry may probe it again


def read_known_sources(root: str, roots: SourceRoots, *, before: int) -> dict[str, KnownSource]:
    """The sources of all probe tables with a number below `before`, by name; of two rows on one source the later counts."""
    known = {}
    for number in sorted(committed(storage.join(root, "probe"))):
        if number < before:
            table = read_table(Layout(root).probe(number), "probe", ["relative_uri", "uri", "error"])
            for row in table.to_pylist():
                name, uri = row["relative_uri"], roots.resolve(row["uri"])
                known[name] = KnownSource(name=name, uri=uri, table=number, failed=row["error"] is not None)
    return known


class Window(NamedTuple):
    """Frames of a clip, and of the manifest span that it lies in."""

    first_frame: int
    num_frames: int
    span_first: int
    span_frames: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedSource:
    """Planned frames of one source."""

    windows: Mapping[Window, int] = field(default_factory=dict)  # how often each
    next_number: int = 0  # of its next clip
    rows_sha256: str | None = None
    source_id: str | None = None
    video: str | None = None

    def without_planned(self, windows: Sequence[Window]) -> list[int]:
        """Places of the windows that are not planned yet."""
        left, new = Counter(self.windows), []
        for place, window in enumerate(windows):
            if left[window] > 0:
                left[window] -= 1
            else:
                new.append(place)
        return new


class PlannedSources:
    """All planned frames by source: arrays, since there may be millions of clips."""

    def __init__(self, root: str) -> None:
        columns = [
            "source",
            "key",
            "first_frame",
            "num_frames",
            "span_first",
            "span_frames",
            "rows_sha256",
            "source_id",
            "video",
            "attempt",
        ]
        table = read_plan_columns(root, columns)
        first_time = pc.less_equal(pc.fill_null(table["attempt"], 1), 1)
        self._table = table.filter(first_time)

    @property
    def num_clips(self) -> int:
        """Planned clips, each counted once however often it was tried."""
        return len(self._table)

    def __getitem__(self, source: str) -> PlannedSource:
        place = self._places.get(source)
        if place is None:
            return PlannedSource()
        start, end = self._ends[place], self._ends[place + 1]
        rows = self._table.take(pa.array(self._order[start:end])).to_pylist()
        windows = Counter(
            Window(*(int(row[name] or 0) for name in ("first_frame", "num_frames", "span_first", "span_frames"))) for row in rows
        )
        numbers = [int(found[1]) for row in rows if (found := _NUMBER.search(row["key"]))]
        last = rows[-1]
        return PlannedSource(
            windows=windows,
            next_number=max(numbers, default=-1) + 1,
            rows_sha256=last["rows_sha256"],
            source_id=last["source_id"],
            video=last["video"],
        )

    @cached_property
    def _encoded(self) -> pa.DictionaryArray:
        return self._table["source"].combine_chunks().dictionary_encode()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self._encoded.dictionary.to_pylist())}

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self._encoded.indices.to_numpy(), kind="stable")

    @cached_property
    def _ends(self) -> np.ndarray:
        counts = np.bincount(self._encoded.indices.to_numpy(), minlength=len(self._places))
        return np.concatenate([[0], np.cumsum(counts)])
