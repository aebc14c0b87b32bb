"""What the leading process shows and writes of every step."""

from collections.abc import Callable

from trainer.data import StepBatch
from trainer.families import Objective
from trainer.loop.config import LogSettings
from trainer.loop.journal import Journal
from trainer.loop.process_group import ProcessRank
from trainer.loop.step_report import StepReport
from trainer.loop.tensorboard import Board

OnStep = Callable[[StepReport], None]


class StepLog:
    """Journal, TensorBoard and a callback for every step; nothing on other processes than the first."""

    def __init__(self, out: str, first: int, settings: LogSettings, *, process: ProcessRank, on_step: OnStep | None) -> None:
        """Args as for Journal and Board."""
        self._settings, self._process, self._on_step = settings, process, on_step
        self.journal = Journal(out, first) if process.leads else None
        self._board = Board(out, first) if process.leads and settings.tensorboard else None

    def log_step(self, report: StepReport) -> None:
        """One step is done."""
        if self.journal is not None:
            self.journal.add(report)
        if self._board is not None and report.step % self._settings.every_steps == 0:
            self._board.add(report)
        if self._process.leads and self._on_step is not None:
            self._on_step(report)

    def draw_step(self, step: int, batch: StepBatch, objective: Objective) -> None:
        """Draw the first clip of each side, now and then. Each costs one more forward pass."""
        if self._board is None or step % self._settings.pictures_every_steps:
            return
        for side, clips in (("labelled", batch.labelled), ("pseudo", batch.pseudo)):
            if clips is not None:
                self._board.add_pictures(objective.pictures(clips.to(self._process.device)), step, side)

    def close(self) -> None:
        """Write what is held back."""
        if self._board is not None:
            self._board.close()
