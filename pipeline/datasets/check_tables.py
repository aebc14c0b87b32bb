"""Figures of the checks as tables beside the shards, and their summary."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.datasets.validation import Check
from pipeline.layout import Layout, committed
from pipeline.tables import read_table, write_document, write_table

SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "check": pa.string(),
        "figure": pa.float64(),
        "bound": pa.float64(),
        "samples": pa.int64(),
        "passed": pa.bool_(),
        "finding": pa.string(),  # null where it passed
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipChecks:
    """The checks of one clip."""

    key: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckSummary:
    """One check over all clips of a dataset."""

    name: str
    bound: float
    clips: int  # on which it could be measured
    failed: int
    median: float
    worst: float
    findings: dict[str, int]  # finding -> clips


def write_checks(root: str, shard: int, clips: Sequence[ClipChecks]) -> None:
    """Publish the checks of one shard: one row per clip and check."""
    rows = [
        {
            "key": clip.key,
            "check": check.name,
            "figure": check.figure,
            "bound": check.bound,
            "samples": check.samples,
            "passed": check.passed,
            "finding": None if check.passed else check.finding,
        }
        for clip in clips
        for check in clip.checks
    ]
    write_table(Layout(root).checks(shard), pa.Table.from_pylist(rows, schema=SCHEMA), "checks")


def write_check_summary(root: str) -> tuple[CheckSummary, ...]:
    """Sum up the checks of all committed shards, in checks.json too."""
    summary = tuple(_summaries(root))
    write_document(Layout(root).check_summary, {"checks": [asdict(each) for each in summary]}, "checks")
    return summary


def _summaries(root: str) -> Iterator[CheckSummary]:
    shards = committed(storage.join(root, "checks")) & committed(storage.join(root, "shards"))
    tables = [read_table(Layout(root).checks(shard), "checks") for shard in sorted(shards)]
    rows = pa.concat_tables([SCHEMA.empty_table(), *(table.replace_schema_metadata(None) for table in tables)]).to_pylist()
    for name in dict.fromkeys(row["check"] for row in rows):
        of_check = [row for row in rows if row["check"] == name]
        figures = np.array([row["figure"] for row in of_check])
        yield CheckSummary(
            name=name,
            bound=of_check[0]["bound"],
            clips=len(of_check),
            failed=sum(not row["passed"] for row in of_check),
            median=float(np.median(figures)),
            worst=float(figures.max()),
            findings=dict(sorted(Counter(row["finding"] for row in of_check if row["finding"]).items())),
        )
