"""Console output of a training."""

from jobs.training.progress import StepLine
from jobs.training.report import report_stage, report_training

__all__ = ["StepLine", "report_stage", "report_training"]
