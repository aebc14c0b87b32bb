"""The plan: one row per clip, in shard order, decided before any cutting. Parts are appended; none is ever written anew.

Part k is a function of the parts before it, the manifest, the options and what probing found. Its shards and probe tables are
numbered from where those of part k - 1 end.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import DataError
from pipeline.layout import Layout, committed
from pipeline.records.clip import VideoMode
from pipeline.tables import TableShape, open_table, stamped


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedClip:
    """One clip to cut: frames of a probed source. In a registered (foreign) dataset only key, shard and source are known."""

    shard: int
    key: str
    source: str  # relative uri
    source_uri: str  # a reference below a source root (pipeline.shards.source_roots); in older roots an absolute path
    source_id: str
    split: str
    license: str | None = None
    probe: int | None = None  # number of the probe table that holds the source
    first_frame: int | None = None  # of the source, in presentation order
    num_frames: int | None = None
    lead_in: int | None = None  # frames that a copied clip stores before its first
    span_first: int | None = None  # the manifest span that the clip lies in: pseudo cameras count from there
    span_frames: int | None = None
    video: VideoMode = "foreign"
    estimated_bytes: int = 0
    estimated_cpu_s: float = 0.0
    camera_uri: str | None = None  # a reference, as source_uri
    extra: str = "{}"  # JSON: the manifest row's other columns
    rows_sha256: str | None = None  # of the source's manifest rows, where all their clips are planned; None where a limit left some out
    attempt: int = 1  # 2 and more: the clip failed before, and is planned again under the same key; the later one counts


_TYPES: dict[Any, pa.DataType] = {
    **dict.fromkeys((int, int | None), pa.int64()),
    **dict.fromkeys((str, str | None, VideoMode), pa.string()),
    float: pa.float64(),
}
_COLUMNS = {f.name: pa.int32() if f.name == "shard" else _TYPES[f.type] for f in fields(PlannedClip)}
SCHEMA = pa.schema({**_COLUMNS, "shard_hash": pa.int64()})  # the identity of a shard's rows, beside each of them
_SHAPE = TableShape(
    schema=SCHEMA, added=frozenset({"rows_sha256", "attempt", "shard_hash", "estimated_cpu_s"}), filled=("shard", "key", "split")
)
_PLACES = ("source_uri", "camera_uri")  # where files lie is no part of a plan's identity
_BATCH = 8192  # rows of a row group: a shard's rows are found by reading one or two of them


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlanCounts:
    """Number of clips planned for each shard, and the identity of the plan: of all its parts, or of the first few."""

    shards: np.ndarray  # int64 "S", increasing
    splits: dict[str, np.ndarray]  # split -> int64 "S"
    shard_hashes: np.ndarray  # int64 "S"; 0 in roots made before there were such
    plan_hashes: tuple[str, ...]  # after each part: of it and all before it

    @property
    def num_parts(self) -> int:
        """Number of parts counted."""
        return len(self.plan_hashes)

    @property
    def plan_hash(self) -> str:
        """64 hex digits, of all parts that are counted."""
        return self.plan_hashes[-1]

    def counts(self, split: str | None = None) -> np.ndarray:
        """int64 "S": planned clips per shard, of one split or of all."""
        if split is not None:
            return self.splits.get(split, np.zeros(len(self.shards), np.int64))
        return np.stack(list(self.splits.values())).sum(axis=0) if self.splits else np.zeros(0, np.int64)

    def shard_hash(self, shard: int) -> int:
        """Of one shard's rows; 0 where the plan does not say."""
        place = int(np.searchsorted(self.shards, shard))
        return int(self.shard_hashes[place]) if place < len(self.shards) and self.shards[place] == shard else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanEnd:
    """Beginning of the next part."""

    part: int = 0
    shard: int = 0
    probe: int = 0  # number of the next probe table
    plan_hash: str = ""


def assign_shards(
    clips: Iterator[PlannedClip], *, clips_per_shard: int, bytes_per_shard: int | None, first: int = 0
) -> Iterator[PlannedClip]:
    """Number the shards from `first` on: a new one begins when the clip count, or the estimated bytes, would be exceeded."""
    shard, in_shard, num_bytes = first, 0, 0
    for clip in clips:
        full = in_shard >= clips_per_shard if bytes_per_shard is None else num_bytes + clip.estimated_bytes > bytes_per_shard
        if full and in_shard:
            shard, in_shard, num_bytes = shard + 1, 0, 0
        in_shard, num_bytes = in_shard + 1, num_bytes + clip.estimated_bytes
        yield replace(clip, shard=shard)


def plan_uris(root: str) -> list[str]:
    """The parts of a plan, in order; empty while there is none. Raises DataError if one of them is gone."""
    layout = Layout(root)
    found = sorted(committed(layout.plan))
    first = [layout.single_plan] if storage.exists(layout.single_plan) else []
    if found != list(range(len(first), len(first) + len(found))):
        raise DataError(f"{layout.plan}: parts {found} are there, one of those before them is gone; bring it back from a copy")
    return [*first, *map(layout.plan_part, found)]


def write_plan(root: str, clips: Iterator[PlannedClip], *, end: PlanEnd | None = None, probe_end: int = 0) -> None:
    """Publish the next part of the plan, in batches: memory does not grow with the number of clips.

    Args:
        clips: in shard order, numbered from `end.shard` on.
        end: where the parts before it end; None for the first.
        probe_end: number of the probe table after the last one that this part was planned from.
    Raises: AlreadyThereError if another job published this part first.
    """
    end = end or PlanEnd()
    digest, next_shard = hashlib.sha256(end.plan_hash.encode()), end.shard
    with storage.publishing(Layout(root).plan_part(end.part), once=True) as path:
        schema = stamped(SCHEMA.empty_table(), "plan").schema
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            batch: list[dict[str, Any]] = []
            for shard, of_shard in groupby(clips, key=lambda clip: clip.shard):
                rows = [{name: getattr(clip, name) for name in _COLUMNS} for clip in of_shard]
                shard_digest = _digest_of(rows)
                digest.update(shard_digest)
                next_shard = shard + 1
                batch += [{**row, "shard_hash": _as_int64(shard_digest)} for row in rows]
                if len(batch) >= _BATCH:
                    writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                    batch = []
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            ends = {
                "plan_hash": digest.hexdigest(),
                "first_shard": str(end.shard),
                "end_shard": str(next_shard),
                "end_probe": str(probe_end),
            }
            writer.add_key_value_metadata(ends)


def plan_end(root: str) -> PlanEnd:
    """Beginning of a plan's next part."""
    uris = plan_uris(root)
    if not uris:
        return PlanEnd()
    with open_table(uris[-1], "plan", shape=_SHAPE) as file:
        said = _metadata(file)
        if "end_shard" in said:
            return PlanEnd(part=len(uris), shard=int(said["end_shard"]), probe=int(said["end_probe"]), plan_hash=said["plan_hash"])
        shards = file.read(columns=["shard"], use_threads=False)["shard"]
    probes = committed(storage.join(root, "probe"))
    last = pc.max(shards).as_py()
    return PlanEnd(
        part=len(uris), shard=0 if last is None else last + 1, probe=max(probes, default=-1) + 1, plan_hash=said.get("plan_hash", "")
    )


def read_plan_counts(root: str, *, num_parts: int | None = None) -> PlanCounts:
    """Shards, clips per shard and split, and the plan's identity, from three columns.

    Args:
        num_parts: count the first parts only; None for all.
    Raises: StorageError if there is no plan.
    """
    hashes, tables = [], []
    for uri in (plan_uris(root) or [Layout(root).plan_part(0)])[:num_parts]:
        with open_table(uri, "plan", shape=_SHAPE) as file:
            has_hash = "shard_hash" in file.schema_arrow.names
            table = file.read(columns=["shard", "split", *(["shard_hash"] if has_hash else [])], use_threads=False)
            tables.append(table if has_hash else table.append_column("shard_hash", pa.array(np.zeros(len(table), np.int64))))
            hashes.append(_metadata(file).get("plan_hash", ""))
    table = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    shards, first = np.unique(table["shard"].to_numpy().astype(np.int64), return_index=True)
    splits = {}
    for split in sorted(pc.unique(table["split"]).to_pylist()):
        chosen = table.filter(pc.equal(table["split"], split))["shard"].to_numpy()
        splits[split] = np.bincount(np.searchsorted(shards, chosen), minlength=len(shards)).astype(np.int64)
    return PlanCounts(shards=shards, splits=splits, shard_hashes=table["shard_hash"].to_numpy()[first], plan_hashes=tuple(hashes))


def read_shard_plan(root: str, shard: int) -> list[PlannedClip]:
    """The planned clips of one shard, in order; reads only the row groups that hold them."""
    uris = plan_uris(root) or [Layout(root).plan_part(0)]
    part = 0 if len(uris) == 1 else bisect_right(uris, shard, lo=1, key=_first_shard) - 1
    with open_table(uris[part], "plan", shape=_SHAPE) as file:
        groups = [group for group in range(file.num_row_groups) if _may_hold(file.metadata.row_group(group), shard)]
        table = file.read_row_groups(groups, use_threads=False)
    return [_planned(row) for row in table.filter(pc.equal(table["shard"], shard)).to_pylist()]


def read_plan_columns(root: str, columns: Sequence[str]) -> pa.Table:
    """Some columns of all rows of all parts; one that an older part lacks is null there."""
    tables = []
    for uri in plan_uris(root):
        with open_table(uri, "plan", shape=_SHAPE) as file:
            table = file.read(columns=[name for name in columns if name in file.schema_arrow.names], use_threads=False)
        for name in columns:
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
        tables.append(table.select(columns).replace_schema_metadata(None))
    return pa.concat_tables(tables) if tables else pa.schema([SCHEMA.field(name) for name in columns]).empty_table()


def shard_hash(clips: Iterable[PlannedClip]) -> int:
    """The identity of one shard's rows, but for where their files lie; never 0."""
    return _as_int64(_digest_of({name: getattr(clip, name) for name in _COLUMNS} for clip in clips))


def _planned(row: dict[str, Any]) -> PlannedClip:
    return PlannedClip(**{name: value for name, value in row.items() if name in _COLUMNS})


def _first_shard(uri: str) -> int:
    with open_table(uri, "plan", shape=_SHAPE) as file:
        return int(_metadata(file)["first_shard"])


def _metadata(file: pq.ParquetFile) -> dict[str, str]:
    return {name.decode(): value.decode(errors="replace") for name, value in (file.metadata.metadata or {}).items()}


def _digest_of(rows: Iterable[dict[str, Any]]) -> bytes:
    """sha256 of a shard's rows, but for where their files lie."""
    digest = hashlib.sha256()
    for row in rows:
        said = {name: value for name, value in row.items() if name not in _PLACES} | {"has_camera": row["camera_uri"] is not None}
        digest.update(json.dumps(said, sort_keys=True).encode() + b"\n")
    return digest.digest()


def _as_int64(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big", signed=True) or 1


def _may_hold(group: pq.RowGroupMetaData, shard: int) -> bool:
    statistics = group.column(SCHEMA.names.index("shard")).statistics
    return statistics is None or not statistics.has_min_max or bool(statistics.min <= shard <= statistics.max)


def extra_json(extra: Any) -> str:
    """A manifest row's other columns as stored in the plan."""
    return json.dumps(dict(extra), sort_keys=True, ensure_ascii=False, default=str)
