"""The losses of every step on disk: OUT/losses/00001000.jsonl holds the steps up to the checkpoint of that number."""

import json
from typing import Any

from pipeline import storage
from trainer.loop.step_report import StepReport


class Journal:
    """Rows since the last checkpoint; written with the next, so that a killed run leaves no step twice."""

    def __init__(self, out: str, first: int) -> None:
        """Args:
        first: step that the run goes on with; rows of later steps, of which no checkpoint tells, are taken away.
        """
        self._out, self._rows = out, list[StepReport]()
        for uri in _files(out):
            if _last(uri) > first:
                storage.remove(uri)

    def add(self, report: StepReport) -> None:
        """One more step."""
        self._rows.append(report)

    def publish(self, step: int) -> None:
        """Write the rows. Args: step: how many steps are done."""
        lines = "".join(json.dumps(report.row(), sort_keys=True) + "\n" for report in self._rows)
        storage.publish_bytes(storage.join(self._out, "losses", f"{step:08d}.jsonl"), lines.encode())
        self._rows.clear()


def read_journal(out: str) -> list[dict[str, Any]]:
    """All rows of a run, as `StepReport.row` gives them, in the order of the steps."""
    return [json.loads(line) for uri in _files(out) for line in storage.read_bytes(uri).decode().splitlines()]


def _files(out: str) -> list[str]:
    return [uri for uri in storage.list_files(storage.join(out, "losses")) if uri.endswith(".jsonl") and _stem(uri).isdigit()]


def _last(uri: str) -> int:
    return int(_stem(uri))


def _stem(uri: str) -> str:
    return uri.rsplit("/", 1)[-1].removesuffix(".jsonl")
