"""What the leading process shows and writes of every step."""

from collections.abc import Callable

import torch

from networks.pi3 import ModelOutput
from trainer.data import ClipBatch, StepBatch
from trainer.loop.config import LogSettings
from trainer.loop.journal import Journal
from trainer.loop.pictures import draw
from trainer.loop.process_group import Place
from trainer.loop.step_report import StepReport
from trainer.loop.tensorboard import Board
from trainer.objective.module import Objective

OnStep = Callable[[StepReport], None]


class Watch:
    """Journal, TensorBoard, and whoever asked to be told; on other processes than the first, nothing."""

    def __init__(self, out: str, first: int, settings: LogSettings, *, place: Place, on_step: OnStep | None) -> None:
        """Args as for Journal and Board."""
        self._settings, self._place, self._on_step = settings, place, on_step
        self.journal = Journal(out, first) if place.leads else None
        self._board = Board(out, first) if place.leads and settings.tensorboard else None

    def tell(self, report: StepReport) -> None:
        """One step is done."""
        if self.journal is not None:
            self.journal.add(report)
        if self._board is not None and report.step % self._settings.every_steps == 0:
            self._board.add(report)
        if self._place.leads and self._on_step is not None:
            self._on_step(report)

    def look(self, step: int, batch: StepBatch, objective: Objective) -> None:
        """Draw the first clip of each side, now and then. Each costs one more forward pass."""
        if self._board is None or step % self._settings.pictures_every_steps:
            return
        for side, clips in (("labelled", batch.labelled), ("pseudo", batch.pseudo)):
            if clips is not None:
                self._board.add_pictures(draw(clips, _looked_at(clips.to(self._place.device), objective)), step, side)

    def close(self) -> None:
        """Write what is held back."""
        if self._board is not None:
            self._board.close()


@torch.no_grad()
def _looked_at(clips: ClipBatch, objective: Objective) -> ModelOutput:
    return objective.predict(clips)
