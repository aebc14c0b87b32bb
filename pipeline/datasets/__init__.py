"""Readers of datasets with ground truth: each ends in the one TruthClip."""

from pipeline.datasets.source import SequenceInfo, TruthSource

__all__ = ["SequenceInfo", "TruthSource"]
