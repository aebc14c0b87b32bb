"""The audit as one HTML page that a person can open anywhere, without a network."""

from pipeline.audit.report.page import build_report

__all__ = ["build_report"]
