"""What validation found: one row a part in OUT/validation, and the checkpoint that is best by one of its measures.

OUT/validation/00001000.jsonl                     after 1000 steps, written at once
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline import storage
from trainer.evaluation import MEASURES
from trainer.loop.checkpoints import BestCheckpoint

_LOWER = {measure.name for measure in MEASURES if measure.better == "lower"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationRow:
    """One part after some steps, over the clips of all processes."""

    step: int  # steps that are done
    part: str
    averaged: bool  # measured with the average of the weights
    num_clips: int  # measured
    num_left_out: int  # without truth
    num_failed: int  # could not be read or measured; the log says why
    measures: Mapping[str, float]  # means over clips by name, as jobs/evaluate.py model takes them; those that are defined
    clips_where_defined: Mapping[str, int]

    def curves(self) -> dict[str, float]:
        """The measures under PART/MEASURE."""
        return {f"{self.part}/{name}": value for name, value in self.measures.items()}


def publish_rows(out: str, rows: Sequence[ValidationRow]) -> None:
    """Write the rows of one validation. A run that resumes before it measures the same again, and writes the same file."""
    text = "".join(json.dumps(asdict(row), sort_keys=True) + "\n" for row in rows)
    storage.publish_bytes(storage.join(out, "validation", f"{rows[0].step:08d}.jsonl"), text.encode())


def read_validation(out: str) -> list[dict[str, Any]]:
    """All rows of a run, in the order of the steps; each has the fields of ValidationRow."""
    return [json.loads(line) for uri in _files(out) for line in storage.read_bytes(uri).decode().splitlines()]


def remove_later_rows(out: str, step: int) -> None:
    """Delete rows of later steps than the one that a run goes on from."""
    for uri in _files(out):
        if int(_stem(uri)) > step:
            storage.remove(uri)


def better_checkpoint(rows: Iterable[ValidationRow], measure: str, before: BestCheckpoint | None) -> BestCheckpoint | None:
    """The checkpoint of these rows if it is the best so far, else None. Of two alike the earlier one is better.

    Args:
        measure: PART/MEASURE.
        before: the best so far.
    """
    for row in rows:
        value = row.curves().get(measure)
        if value is None:
            continue
        sign = 1 if measure.rsplit("/", 1)[-1] in _LOWER else -1
        if before is None or sign * value < sign * before.value:
            return BestCheckpoint(step=row.step, measure=measure, value=value, averaged=row.averaged)
    return None


def _files(out: str) -> list[str]:
    return [uri for uri in storage.list_files(storage.join(out, "validation")) if uri.endswith(".jsonl") and _stem(uri).isdigit()]


def _stem(uri: str) -> str:
    return uri.rsplit("/", 1)[-1].removesuffix(".jsonl")
