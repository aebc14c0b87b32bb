"""Summary of a plan, before anything is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.shards.plan import SCHEMA, PlannedClip, read_plan_columns

_COLUMNS = ["shard", "source", "num_frames", "lead_in", "video", "estimated_bytes", "estimated_cpu_s"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanSummary:
    """Counts and estimates."""

    sources: int
    clips: int
    shards: int
    frames: int
    copied_clips: int
    estimated_bytes: int
    copy_inflation: float  # bytes of copied clips over those of their shown frames; NaN without any
    estimated_cpu_hours: float
    registered: bool  # tars that others wrote: nothing is cut


def summarise_plan(root: str) -> PlanSummary:
    """Counts of the whole plan of a root."""
    return _summary(read_plan_columns(root, _COLUMNS))


def summarise_clips(clips: Sequence[PlannedClip]) -> PlanSummary:
    """Counts of clips that are not in a plan yet."""
    columns = {name: [getattr(clip, name) for clip in clips] for name in _COLUMNS}
    return _summary(pa.table(columns, schema=pa.schema([SCHEMA.field(name) for name in _COLUMNS])))


def _summary(table: pa.Table) -> PlanSummary:
    copied = table.filter(pc.equal(table["video"], "copy"))
    frames, lead, num_bytes = (copied[name].to_numpy().astype(float) for name in ("num_frames", "lead_in", "estimated_bytes"))
    shown = (num_bytes * frames / (frames + lead)).sum() if len(frames) else 0.0
    return PlanSummary(
        sources=len(pc.unique(table["source"])),
        clips=len(table),
        shards=len(pc.unique(table["shard"])),
        frames=pc.sum(table["num_frames"]).as_py() or 0,
        copied_clips=len(copied),
        estimated_bytes=pc.sum(table["estimated_bytes"]).as_py() or 0,
        copy_inflation=float(num_bytes.sum() / shown) if shown else float("nan"),
        estimated_cpu_hours=(pc.sum(table["estimated_cpu_s"]).as_py() or 0.0) / 3600,
        registered=bool(pc.any(pc.equal(table["video"], "foreign")).as_py()),
    )
