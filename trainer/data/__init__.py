"""Batches of a training step, from streams of clips."""

from trainer.data.batches import ClipBatch, StepBatch
from trainer.data.config import AS_STORED, AugmentConfig, DataConfig, ShapeConfig, parse_data_config
from trainer.data.loader import StepLoader

__all__ = ["AS_STORED", "AugmentConfig", "ClipBatch", "DataConfig", "ShapeConfig", "StepBatch", "StepLoader", "parse_data_config"]
