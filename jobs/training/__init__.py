"""Console output of a training."""

from jobs.training.progress import StepLine
from jobs.training.report import check_stage, report_stage, report_training, training_exit

__all__ = ["StepLine", "check_stage", "report_stage", "report_training", "training_exit"]
