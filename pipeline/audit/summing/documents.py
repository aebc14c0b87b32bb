"""The summary of an audit on disk: summary.json, shards.parquet, clips.parquet."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from pipeline.audit.comparing.records import DriftRow
from pipeline.audit.stored.audit_rows import CLIP_COLUMNS, SCHEMA
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, ClipBrief, GateResult, Histogram, WeightMass
from pipeline.audit.verdict import DECISIONS, Verdict
from pipeline.errors import DataError
from pipeline.layout import Layout
from pipeline.shards.dataset import code_version
from pipeline.tables import open_table, read_document, write_document, write_table, writing_table

SUMMARY, SHARDS, CLIPS = "summary.json", "shards.parquet", "clips.parquet"
_ROWS_AT_ONCE = 4096
_LISTS = ("worst", "borderline", "random_keeps")


def write_summary(root: str, audit: AuditSet, summary: AuditSummary, gate: GateResult, *, drift: Sequence[DriftRow] = ()) -> None:
    """Publish summary.json: totals, histograms, rules, gate. The lines of the shards are in shards.parquet."""
    document = {
        "audit": _plain({name: value for name, value in dataclasses.asdict(audit).items() if name != "calibration"}),
        "calibrated": audit.calibration is not None,
        "summary": _plain({**dataclasses.asdict(dataclasses.replace(summary, shards=())), "num_shards": len(summary.shards)}),
        "gate": {"passes": gate.passes, "checks": [dataclasses.asdict(check) for check in gate.checks]},
        "drift": [_plain(dataclasses.asdict(row)) for row in drift],
        "versions": {"trackmill": code_version(), "numpy": np.__version__, "opencv": cv2.__version__},
    }
    write_document(Layout(root).audit_report(audit.name, SUMMARY), document, "audit_summary")


def read_summary(uri: str) -> AuditSummary:
    """A summary.json without the lines of the shards. Raises StorageError, FormatError, DataError."""
    document = read_document(uri, "audit_summary")
    try:
        values = dict(document["summary"])
        values.pop("num_shards")
        return AuditSummary(
            **{
                **values,
                "decisions": {decision: values["decisions"][decision] for decision in DECISIONS},
                **{name: tuple(_histogram(each) for each in values[name]) for name in ("track_histograms", "clip_histograms")},
                **{name: tuple(_brief(each) for each in values[name]) for name in _LISTS},
                "masses": tuple(WeightMass(**each) for each in values["masses"]),
                "shards": (),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{uri}: not the summary of an audit ({error!r}); run jobs/audit.py run again") from error


def write_shard_lines(root: str, audit: str, summary: AuditSummary) -> None:
    """Publish shards.parquet: one line per shard."""
    rows = [
        {
            "shard": line.shard,
            "num_clips": line.num_clips,
            **{decision: line.decisions.get(decision, 0) for decision in DECISIONS},
            "num_tracks": line.num_tracks,
            "mean_weight": line.mean_weight,
            "keep_share": line.keep_share,
            "worst_reason": line.worst_reason,
        }
        for line in summary.shards
    ]
    write_table(Layout(root).audit_report(audit, SHARDS), pa.Table.from_pylist(rows, schema=_SHARDS_SCHEMA), "audit_shards")


def write_clips(root: str, audit: str, shards: Sequence[int]) -> None:
    """Publish clips.parquet: verdict and measures of every clip, without tracks, shard by shard; a few thousand rows are held."""
    with writing_table(Layout(root).audit_report(audit, CLIPS), _CLIPS_SCHEMA, "audit_clips") as writer:
        held: list[pa.Table] = []
        for shard in shards:
            held.append(_clip_rows(root, audit, shard).cast(writer.schema))
            if sum(len(table) for table in held) >= _ROWS_AT_ONCE:
                writer.write_table(pa.concat_tables(held))
                held = []
        if held:
            writer.write_table(pa.concat_tables(held))


_SHARDS_SCHEMA = pa.schema(
    {
        **{name: pa.int64() for name in ("shard", "num_clips", *DECISIONS, "num_tracks")},
        "mean_weight": pa.float64(),
        "keep_share": pa.float64(),
        "worst_reason": pa.string(),
    }
)
_CLIPS_SCHEMA = pa.schema(
    {"shard": pa.int64(), **{name: SCHEMA.field(name).type for name in CLIP_COLUMNS}, "mean_weight": pa.float64()},
    metadata={"pixels": "of a raster of 256 x 256; width and height: of the stored clip"},
)


def _clip_rows(root: str, audit: str, shard: int) -> pa.Table:
    with open_table(Layout(root).audit_shard(audit, shard), "audit") as file:
        table = file.read(columns=[*CLIP_COLUMNS, "weight"], use_threads=False)
    means = [_mean(cell.values.to_numpy()) if cell.is_valid else None for cell in table["weight"]]
    columns = {"shard": pa.array([shard] * len(table), pa.int64()), **{name: table[name] for name in CLIP_COLUMNS}}
    return pa.table({**columns, "mean_weight": pa.array(means, pa.float64())})


def _mean(weight: np.ndarray) -> float | None:
    return float(weight.mean(dtype=np.float64)) if len(weight) else None


def _plain(value: Any) -> Any:
    """JSON types; an unknown number becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _histogram(values: Mapping[str, Any]) -> Histogram:
    return Histogram(**{**values, "edges": tuple(values["edges"]), "counts": tuple(values["counts"])})


def _brief(values: Mapping[str, Any]) -> ClipBrief:
    verdict = Verdict(decision=values["verdict"]["decision"], reasons=tuple(values["verdict"]["reasons"]))
    weight = values["mean_weight"]
    return ClipBrief(**{**values, "verdict": verdict, "mean_weight": math.nan if weight is None else weight})
