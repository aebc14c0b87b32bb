"""Interface of a logger, the receiver of a run's curves and pictures; and the curves of a step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trainer.loop.step_report import StepReport


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInfo:
    """The run that a logger is opened for."""

    out: str  # its folder or URL
    first_step: int  # that it goes on with; 0 for a new one
    config: Mapping[str, Any]  # the whole of it, as in config.yaml


class Logger(Protocol):
    """Receiver of one run, in its leading process. A step that a killed process had logged may come again when the run resumes."""

    def add_values(self, values: Mapping[str, float], step: int) -> None:
        """One point of each curve, by names such as "loss/geometry/points"; see `step_curves`."""

    def add_pictures(self, pictures: Mapping[str, np.ndarray], step: int) -> None:
        """Pictures, RGB uint8 "H W 3" each, by names such as "labelled/depth"."""

    def close(self, *, failed: bool) -> None:
        """The run ends. Args: failed: by an error."""


OpenLogger = Callable[[RunInfo], Logger]


def step_curves(report: StepReport) -> dict[str, float]:
    """Points of curves, by name; what a step has not is left out."""
    step_s = max(report.step_s, 1e-9)
    curves: dict[str, float | None] = {f"loss/{name}": value for name, value in report.terms.items()}
    curves |= {"total": report.loss, "step/learning_rate": report.learning_rate, "step/gradient_norm": report.gradient_norm}
    curves |= {"step/clips_per_s": report.num_clips / step_s, "step/share_waiting_for_data": report.wait_s / step_s}
    curves |= {"step/seconds": report.step_s, "step/peak_memory_mb": report.peak_memory_mb, "step/mfu": report.mfu}
    curves["step/tflops_per_s"] = None if report.tflops is None else report.tflops / step_s
    curves |= {f"seconds/{name}": value for name, value in report.parts_s.items()}
    curves |= {f"gradient_norm/{name}": value for name, value in report.gradient_norms.items()}
    return {name: value for name, value in curves.items() if value is not None}
