"""Datasets for other people: the formats of their trainers and benchmarks, one writer a file, and publications of labels."""

from pipeline.export.format import ExportFormat, Refusal

__all__ = ["ExportFormat", "Refusal"]
