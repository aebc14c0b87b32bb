"""A line of progress now and then: where training stands, how fast it is, and how much of the time it waits for data."""

import time
from types import TracebackType

import typer

from jobs.console import counted
from trainer.loop import TrainConfig
from trainer.loop.step_report import StepReport


class StepLine:
    """Says a line on standard error after every `logs.every_steps` steps, and after the last."""

    def __init__(self, config: TrainConfig) -> None:
        self._steps, self._every = config.steps, config.logs.every_steps
        self._since: list[StepReport] = []
        self._lost = 0

    def __enter__(self) -> "StepLine":
        self._said = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._since:
            self._say()

    def tell(self, report: StepReport) -> None:
        """One step is done."""
        self._since.append(report)
        self._lost += report.outcome != "stepped"
        if (report.step + 1) % self._every == 0 or report.step + 1 == self._steps:
            self._say()

    def _say(self) -> None:
        reports, self._since = self._since, []
        now, began = time.monotonic(), self._said
        self._said = now
        losses = [report.loss for report in reports if report.loss is not None]
        spent = sum(report.step_s for report in reports)
        waited = sum(report.wait_s for report in reports) / max(spent, 1e-9)
        clips = sum(report.num_clips for report in reports)
        last = reports[-1]
        left_s = (self._steps - last.step - 1) * (now - began) / len(reports)
        loss = f"{sum(losses) / len(losses):.4f}" if losses else "none"
        speed = clips / max(now - began, 1e-9)
        typer.echo(
            f"step {last.step + 1}/{self._steps}: loss {loss}, rate {last.learning_rate:.2e}, {speed:.2f} samples/s,"
            f" {waited:.1%} waiting for data, {left_s:.0f} s left, {counted(self._lost, 'step')} lost",
            err=True,
        )
