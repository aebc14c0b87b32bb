"""The screen on disk: one row per clip of a shard, in its order, with measures, verdict and reasons; and the rules beside them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.audit.clips.video import MEASURES_VERSION, VideoMeasures
from pipeline.audit.verdict import ScreenRules, Verdict
from pipeline.errors import ConfigError, DataError
from pipeline.layout import Layout, committed
from pipeline.tables import TableShape, read_document, read_table, write_document, write_table


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreenRow:
    """One clip of a shard. A clip that could not be measured says why in `error`; one that was forgotten is not measured either."""

    key: str
    verdict: Verdict
    rules: str  # version of the rules that judged it
    clip_sha256: str | None = None  # of the video that was measured
    measures: VideoMeasures | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        if (self.verdict.decision == "error") != bool(self.error):
            raise DataError(f"clip {self.key}: screened as {self.verdict.decision} {'with' if self.error else 'without'} an error's text")
        if self.measures is not None and self.clip_sha256 is None:
            raise DataError(f"clip {self.key}: measures without the sha256 of the video that was measured")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredVerdict:
    """Verdict of a screen on one clip, and the video that it judged."""

    key: str
    clip_sha256: str | None  # None where there was no video, or it was not to be looked at
    verdict: Verdict


_TYPES: dict[Any, pa.DataType] = {int: pa.int64(), float: pa.float64(), tuple[int, ...]: pa.list_(pa.int64())}
_MEASURES = {each.name: _TYPES[each.type] for each in fields(VideoMeasures)}
SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "clip_sha256": pa.string(),
        "verdict": pa.string(),
        "reasons": pa.list_(pa.string()),
        "rules": pa.string(),
        "error": pa.string(),
        **_MEASURES,
    }
)

_SHAPE = TableShape(schema=SCHEMA, filled=("key", "verdict", "reasons", "rules"))


def write_screen(root: str, shard: int, rows: Sequence[ScreenRow]) -> None:
    """Commit the screen of one shard. Raises DataError for a key that occurs twice."""
    uri, keys = Layout(root).screen_shard(shard), [row.key for row in rows]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise DataError(f"{uri}: {len(twice)} clips have two rows each, the first is {twice[0]}; give every clip of the shard one row")
    table = pa.Table.from_pylist([_columns(row) for row in rows], schema=SCHEMA)
    write_table(uri, table.replace_schema_metadata({"measures": MEASURES_VERSION}), "screen")


def read_screen(root: str, shard: int) -> list[ScreenRow]:
    """The screen of one shard, in the shard's order. Raises StorageError if it is not screened; DataError naming file and clip."""
    uri = Layout(root).screen_shard(shard)
    table = read_table(uri, "screen")
    absent = sorted({*SCHEMA.names} - {*table.column_names})
    if absent:
        raise DataError(
            f"{uri}: another version measured it, without {', '.join(absent)}; remove {Layout(root).screen} and run"
            " jobs/audit.py screen again"
        )
    _SHAPE.check(uri, table.schema)
    _SHAPE.check_filled(uri, table)
    return [_row(columns, uri) for columns in table.to_pylist()]


def read_verdicts(root: str, shard: int) -> list[StoredVerdict]:
    """Verdicts of the screen on one shard's clips, in the shard's order, without reading a measure.

    Raises: StorageError if it is not screened; DataError naming file and clip.
    """
    uri, columns = Layout(root).screen_shard(shard), ["key", "clip_sha256", "verdict", "reasons"]
    return [
        StoredVerdict(key=row["key"], clip_sha256=row["clip_sha256"], verdict=_verdict(row, uri))
        for row in read_table(uri, "screen", columns, shape=_SHAPE).to_pylist()
    ]


def screen_identity(root: str) -> str | None:
    """By which rules and measures the dataset was screened: 16 hex digits of their hash. None where it was not."""
    uri = Layout(root).screen_rules
    if not storage.exists(uri):
        return None
    found = read_document(uri, "screen")
    text = json.dumps({name: found.get(name) for name in ("measures", "rules")}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def claim_rules(root: str, rules: ScreenRules) -> None:
    """Write the rules beside the screen, or check that those that are there are the same. Without a screened shard, new ones replace them.

    Raises: ConfigError naming what differs.
    """
    uri, document = Layout(root).screen_rules, rules_document(rules)
    if not (storage.exists(uri) and committed(Layout(root).screen)):
        write_document(uri, document, "screen")
        return
    found = read_document(uri, "screen")
    if not isinstance(found.get("rules", {}), dict):
        raise DataError(f"{uri}: its rules are no object; it was edited: remove {Layout(root).screen} and screen again")
    was, wanted = ({"measures": each.get("measures"), **each.get("rules", {})} for each in (found, document))
    differing = [f"{name}: {was.get(name)} -> {wanted.get(name)}" for name in sorted({*was, *wanted}) if was.get(name) != wanted.get(name)]
    if differing:
        raise ConfigError(
            f"{root} was screened by other rules ({'; '.join(differing)}); give the same options, or remove {Layout(root).screen}"
            " and screen it again"
        )


def rules_document(rules: ScreenRules) -> dict[str, Any]:
    """The rules behind every verdict of a screen, as JSON types: part of the identity of labels that skip what it dropped."""
    return {"measures": MEASURES_VERSION, "rules": asdict(rules)}


def _columns(row: ScreenRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "clip_sha256": row.clip_sha256,
        "verdict": row.verdict.decision,
        "reasons": list(row.verdict.reasons),
        "rules": row.rules,
        "error": row.error,
        **({} if row.measures is None else asdict(row.measures)),
    }


def _row(columns: dict[str, Any], uri: str) -> ScreenRow:
    measured, verdict = columns["num_frames"] is not None, _verdict(columns, uri)
    try:
        values = {name: columns[name] for name in _MEASURES} if measured else {}
        return ScreenRow(
            key=columns["key"],
            verdict=verdict,
            rules=columns["rules"],
            clip_sha256=columns["clip_sha256"],
            measures=VideoMeasures(**{**values, "cut_frames": tuple(values["cut_frames"])}) if measured else None,
            error=columns["error"],
        )
    except (DataError, TypeError) as error:
        raise DataError(f"{uri}: clip {columns['key']}: {error}; delete this file and run jobs/audit.py screen again") from error


def _verdict(columns: dict[str, Any], uri: str) -> Verdict:
    try:
        return Verdict(decision=columns["verdict"], reasons=tuple(columns["reasons"]))
    except (DataError, TypeError) as error:
        raise DataError(f"{uri}: clip {columns['key']}: {error}; delete this file and run jobs/audit.py screen again") from error
