"""The plan: one row per clip, in shard order, decided before any cutting from manifest, policy and probe alone."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.layout import Layout
from pipeline.shards.plan_hash import PlanHash
from pipeline.tables import open_table, stamped


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedClip:
    """One clip to cut: frames of a probed source. In a registered (foreign) dataset only key, shard and source are known."""

    shard: int
    key: str
    source: str  # relative uri
    source_uri: str
    source_id: str
    split: str
    license: str | None = None
    probe: int | None = None  # number of the probe table that holds the source
    first_frame: int | None = None  # of the source, in presentation order
    num_frames: int | None = None
    lead_in: int | None = None  # frames that a copied clip stores before its first
    span_first: int | None = None  # the manifest span that the clip lies in: pseudo cameras count from there
    span_frames: int | None = None
    video: str = "foreign"  # copy | h264 | foreign | images
    estimated_bytes: int = 0
    camera_uri: str | None = None
    extra: str = "{}"  # JSON: the manifest row's other columns


_TYPES: dict[Any, pa.DataType] = {int: pa.int64(), str: pa.string(), int | None: pa.int64(), str | None: pa.string()}
SCHEMA = pa.schema([(f.name, pa.int32() if f.name == "shard" else _TYPES[f.type]) for f in fields(PlannedClip)])
_BATCH = 8192  # rows of a row group: a shard's rows are found by reading one or two of them


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlanCounts:
    """How many clips each shard was planned to hold, and the identity of the plan."""

    shards: np.ndarray  # int64 "S", increasing
    splits: dict[str, np.ndarray]  # split -> int64 "S"
    plan_hash: str

    def counts(self, split: str | None = None) -> np.ndarray:
        """int64 "S": planned clips per shard, of one split or of all."""
        if split is not None:
            return self.splits.get(split, np.zeros(len(self.shards), np.int64))
        return np.stack(list(self.splits.values())).sum(axis=0) if self.splits else np.zeros(0, np.int64)


def assign_shards(clips: Iterator[PlannedClip], *, clips_per_shard: int, bytes_per_shard: int | None) -> Iterator[PlannedClip]:
    """Number the shards: a new one begins when the clip count, or the estimated bytes, would be exceeded."""
    shard = in_shard = num_bytes = 0
    for clip in clips:
        full = in_shard >= clips_per_shard if bytes_per_shard is None else num_bytes + clip.estimated_bytes > bytes_per_shard
        if full and in_shard:
            shard, in_shard, num_bytes = shard + 1, 0, 0
        in_shard, num_bytes = in_shard + 1, num_bytes + clip.estimated_bytes
        yield replace(clip, shard=shard)


def write_plan(root: str, clips: Iterator[PlannedClip]) -> None:
    """Publish plan.parquet, in batches: memory does not grow with the number of clips."""
    digest = PlanHash()
    with storage.publishing(Layout(root).plan) as path:
        schema = stamped(SCHEMA.empty_table(), "plan").schema
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in _batches(clips, _BATCH):
                digest.add((clip.shard, clip.split, clip.key) for clip in batch)
                rows = {name: [getattr(clip, name) for clip in batch] for name in SCHEMA.names}
                writer.write_table(pa.table(rows, schema=schema))
            writer.add_key_value_metadata({"plan_hash": digest.hexdigest()})


def read_plan_counts(root: str) -> PlanCounts:
    """Shards, clips per shard and split, and the plan's hash, from two columns."""
    with open_table(Layout(root).plan, "plan") as file:
        table = file.read(columns=["shard", "split"], use_threads=False)
        plan_hash = (file.metadata.metadata or {}).get(b"plan_hash", b"").decode()
    shards = np.unique(table["shard"].to_numpy()).astype(np.int64)
    splits = {}
    for split in sorted(pc.unique(table["split"]).to_pylist()):
        chosen = table.filter(pc.equal(table["split"], split))["shard"].to_numpy()
        splits[split] = np.bincount(np.searchsorted(shards, chosen), minlength=len(shards)).astype(np.int64)
    return PlanCounts(shards=shards, splits=splits, plan_hash=plan_hash)


def read_shard_plan(root: str, shard: int) -> list[PlannedClip]:
    """The planned clips of one shard, in order; reads only the row groups that hold them."""
    with open_table(Layout(root).plan, "plan") as file:
        groups = [group for group in range(file.num_row_groups) if _may_hold(file.metadata.row_group(group), shard)]
        table = file.read_row_groups(groups, use_threads=False)
    return [PlannedClip(**row) for row in table.filter(pc.equal(table["shard"], shard)).to_pylist()]


def _may_hold(group: pq.RowGroupMetaData, shard: int) -> bool:
    statistics = group.column(SCHEMA.names.index("shard")).statistics
    return statistics is None or bool(statistics.min <= shard <= statistics.max)


def _batches(clips: Iterator[PlannedClip], size: int) -> Iterator[Sequence[PlannedClip]]:
    batch: list[PlannedClip] = []
    for clip in clips:
        batch.append(clip)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def extra_json(extra: Any) -> str:
    """A manifest row's other columns as stored in the plan."""
    return json.dumps(dict(extra), sort_keys=True, ensure_ascii=False, default=str)
