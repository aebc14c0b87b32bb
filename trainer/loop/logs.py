"""Logs of a run: losses of every step as JSON lines, TensorBoard's curves and pictures, a callback.

The one file that needs the extra `train`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, cast

import cv2
import numpy as np

from pipeline import storage
from pipeline.errors import ConfigError, install_command
from trainer.data import StepBatch
from trainer.families import Objective
from trainer.loop.config import LogSettings
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


class TensorBoardWriter:
    """A run's curves and pictures below OUT/tensorboard."""

    def __init__(self, out: str, first: int) -> None:
        """Args:
            first: step that the run goes on with; TensorBoard hides what an earlier process wrote of later steps.

        Raises: ConfigError if the package is missing, or OUT is no local folder.
        """
        package = _import_tensorboardx()
        if not storage.is_local(out):
            raise ConfigError(f"logs.tensorboard writes to a local folder, and out is {out}; set logs.tensorboard to false")
        self._package = package
        self._writer = package.SummaryWriter(storage.join(storage.absolute(out), "tensorboard"), purge_step=first)

    def add(self, report: StepReport) -> None:
        """Add one step to the curves."""
        curves = {f"loss/{name}": value for name, value in report.terms.items()}
        curves |= {
            "total": report.loss,
            "step/learning_rate": report.learning_rate,
            "step/gradient_norm": report.gradient_norm,
            "step/clips_per_s": report.num_clips / max(report.step_s, 1e-9),
            "step/share_waiting_for_data": report.wait_s / max(report.step_s, 1e-9),
        }
        for name, value in curves.items():
            if value is not None:
                self._writer.add_scalar(name, value, report.step)

    def add_curves(self, curves: Mapping[str, float], step: int) -> None:
        """Add one point to each of these curves."""
        for name, value in curves.items():
            self._writer.add_scalar(name, value, step)

    def add_pictures(self, pictures: Mapping[str, np.ndarray], step: int, side: str) -> None:
        """Args:
        pictures: RGB, uint8 "H W 3" each, by name.
        side: labelled or pseudo.
        """
        for name, picture in pictures.items():
            self._writer.file_writer.add_summary(self._summary(f"{side}/{name}", picture), step)

    def close(self) -> None:
        """Flush the files."""
        self._writer.close()

    def _summary(self, name: str, picture: np.ndarray) -> Any:
        """A picture as a summary, encoded here because the package would need Pillow."""
        messages = self._package.proto.summary_pb2
        height, width, channels = picture.shape
        encoded = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
        image = messages.Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=encoded)
        return messages.Summary(value=[messages.Summary.Value(tag=name, image=image)])


def _import_tensorboardx() -> ModuleType:
    try:
        import tensorboardX
        import tensorboardX.proto.summary_pb2
    except ImportError as error:
        raise ConfigError(f"logs.tensorboard needs the extra: {install_command('train')}; or set it to false") from error
    return cast(ModuleType, tensorboardX)


class StepLog:
    """Journal, TensorBoard and a callback for every step; nothing on other processes than the first."""

    def __init__(self, out: str, first: int, settings: LogSettings, *, process: ProcessRank, on_step: OnStep | None) -> None:
        """Args as for Journal and TensorBoardWriter."""
        self._out, self._settings, self._process, self._on_step = out, settings, process, on_step
        self.journal = Journal(out, first) if process.leads else None
        self._tensorboard = TensorBoardWriter(out, first) if process.leads and settings.tensorboard else None

    def log_step(self, report: StepReport) -> None:
        """Log one finished step."""
        if self.journal is not None:
            self.journal.add(report)
        if self._tensorboard is not None and report.step % self._settings.every_steps == 0:
            self._tensorboard.add(report)
        if self._process.leads and self._on_step is not None:
            self._on_step(report)

    def draw_step(self, step: int, batch: StepBatch, objective: Objective) -> None:
        """Draw the first clip of each side every `pictures_every_steps`; each costs one more forward pass."""
        if self._tensorboard is None or step % self._settings.pictures_every_steps:
            return
        for side, clips in (("labelled", batch.labelled), ("pseudo", batch.pseudo)):
            if clips is not None:
                self._tensorboard.add_pictures(objective.pictures(clips.to(self._process.device)), step, side)

    def log_validation(self, rows: Sequence[ValidationRow]) -> None:
        """Log one validation: its rows in OUT/validation, and curves."""
        if self._process.leads:
            publish_rows(self._out, rows)
        if self._tensorboard is not None:
            for row in rows:
                self._tensorboard.add_curves({f"validation/{name}": value for name, value in row.curves().items()}, row.step)

    def close(self) -> None:
        """Flush the files."""
        if self._tensorboard is not None:
            self._tensorboard.close()
