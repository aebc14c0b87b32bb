"""Metrics of the field as pure numpy functions; arrays in, a record out. An undefined value is NaN, never a number."""

from pipeline.metrics.tapvid import TapvidMetrics, tapvid_from_labels, tapvid_metrics, tapvid_trackwise_metrics
from pipeline.metrics.tapvid_queries import TapvidQueries, sample_queries_first, sample_queries_strided

__all__ = [
    "TapvidMetrics",
    "TapvidQueries",
    "sample_queries_first",
    "sample_queries_strided",
    "tapvid_from_labels",
    "tapvid_metrics",
    "tapvid_trackwise_metrics",
]
