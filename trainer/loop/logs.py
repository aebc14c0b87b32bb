"""Logs of a run: every step as a JSON line, curves and pictures for loggers, a callback."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from pipeline import storage
from trainer.data import StepBatch
from trainer.families import Objective
from trainer.loop.config import LogSettings
from trainer.loop.loggers import Logger, step_curves
from trainer.loop.step_report import ProcessRank, StepReport
from trainer.loop.validation_rows import ValidationRow, publish_rows

OnStep = Callable[[StepReport], None]


class Journal:
    """Rows since the last checkpoint; written with the next, so that a killed run leaves no step twice."""

    def __init__(self, out: str, first: int) -> None:
        """Args:
        first: step that the run goes on with; rows of later steps, which belong to no checkpoint, are deleted.
        """
        self._out, self._rows = out, list[StepReport]()
        for uri in _loss_files(out):
            if _last_step(uri) > first:
                storage.remove(uri)

    def add(self, report: StepReport) -> None:
        """Add one step."""
        self._rows.append(report)

    def publish(self, step: int) -> None:
        """Write the rows. Args: step: how many steps are done."""
        lines = "".join(json.dumps(report.row(), sort_keys=True) + "\n" for report in self._rows)
        storage.publish_bytes(storage.join(self._out, "losses", f"{step:08d}.jsonl"), lines.encode())
        self._rows.clear()


def read_journal(out: str) -> list[dict[str, Any]]:
    """All rows of a run, as `StepReport.row` gives them, in the order of the steps."""
    return [json.loads(line) for uri in _loss_files(out) for line in storage.read_bytes(uri).decode().splitlines()]


def _loss_files(out: str) -> list[str]:
    return [uri for uri in storage.list_files(storage.join(out, "losses")) if uri.endswith(".jsonl") and _stem(uri).isdigit()]


def _last_step(uri: str) -> int:
    return int(_stem(uri))


def _stem(uri: str) -> str:
    return uri.rsplit("/", 1)[-1].removesuffix(".jsonl")


class StepLog:
    """Journal, loggers and a callback for every step; nothing on other processes than the first. Leaving its block closes the loggers."""

    def __init__(
        self,
        out: str,
        first: int,
        settings: LogSettings,
        *,
        process: ProcessRank,
        on_step: OnStep | None = None,
        loggers: Sequence[Logger] = (),
    ) -> None:
        """Args as for Journal."""
        self._out, self._settings, self._process, self._on_step = out, settings, process, on_step
        self.journal = Journal(out, first) if process.leads else None
        self._loggers = loggers if process.leads else ()
        self._skipped: Counter[str] = Counter()  # clips by dataset, since the last point of the curves

    def __enter__(self) -> "StepLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for logger in self._loggers:
            logger.close(failed=kind is not None)

    def log_step(self, report: StepReport) -> None:
        """Log one finished step."""
        if self.journal is not None:
            self.journal.add(report)
        self._skipped.update(report.skipped_clips)
        if report.step % self._settings.every_steps == 0:
            curves = step_curves(report) | {f"skipped_clips/{name}": float(number) for name, number in self._skipped.items()}
            self._skipped.clear()
            for logger in self._loggers:
                logger.add_values(curves, report.step)
        if self._process.leads and self._on_step is not None:
            self._on_step(report)

    def draw_step(self, step: int, batch: StepBatch, objective: Objective) -> None:
        """Draw the first clip of each side every `pictures_every_steps`; each costs one more forward pass."""
        if not self._loggers or step % self._settings.pictures_every_steps:
            return
        for side, clips in (("labelled", batch.labelled), ("pseudo", batch.pseudo)):
            if clips is not None:
                drawn = objective.pictures(clips.to(self._process.device))
                for logger in self._loggers:
                    logger.add_pictures({f"{side}/{name}": picture for name, picture in drawn.items()}, step)

    def log_validation(self, rows: Sequence[ValidationRow]) -> None:
        """Log one validation: its rows in OUT/validation, and curves."""
        if self._process.leads:
            publish_rows(self._out, rows)
        for row in rows:
            for logger in self._loggers:
                logger.add_values({f"validation/{name}": value for name, value in row.curves().items()}, row.step)
