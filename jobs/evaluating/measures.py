"""Measures of one clip's labels, and their sums over a set."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipeline.metrics.averages import DefinedMean, defined_mean
from pipeline.metrics.error_histogram import ErrorHistogram
from pipeline.metrics.label_comparison import LabelComparison, Survival
from pipeline.metrics.tapvid_counts import COUNTED, TapvidCounts, TapvidMetrics, fractions_of

MEASURES = ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy", "median_error_px", "survival")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """Fractions in [0, 1], and the error in pixels of the 256 x 256 raster; NaN where undefined."""

    average_jaccard: float
    average_pts_within_thresh: float
    occlusion_accuracy: float
    median_error_px: float
    survival: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelMeasures:
    """One clip of one label set."""

    key: str
    num_tracks: int  # labels with a true track
    num_unmatched: int  # other labels, such as re-seeded ones: nothing can be said of them
    values: Measures
    counts: TapvidCounts
    survival: Survival

    @property
    def num_points(self) -> int:
        """Track and frame pairs whose distance was measured."""
        return int(self.counts.visible)


def measure_clip(key: str, comparison: LabelComparison, *, num_unmatched: int) -> LabelMeasures:
    """All measures of one clip."""
    counts, survival = comparison.counts(), comparison.survival()
    values = _measures(fractions_of(counts), comparison.median_error_px(), survival)
    return LabelMeasures(
        key=key,
        num_tracks=comparison.visible.shape[1],
        num_unmatched=num_unmatched,
        values=values,
        counts=counts,
        survival=survival,
    )


def clip_document(clip: LabelMeasures) -> dict[str, Any]:
    """A clip's measures in JSON types, exactly; NaN is null."""
    counts = {name: getattr(clip.counts, name).tolist() for name in COUNTED}
    return {
        "key": clip.key,
        "num_tracks": clip.num_tracks,
        "num_unmatched": clip.num_unmatched,
        "values": {name: None if math.isnan(value) else value for name, value in asdict(clip.values).items()},
        "counts": {"thresholds": list(clip.counts.thresholds), **counts},
        "survival": asdict(clip.survival),
    }


def clip_of_document(document: Mapping[str, Any]) -> LabelMeasures:
    """The measures of such a document."""
    counts = dict(document["counts"])
    return LabelMeasures(
        key=document["key"],
        num_tracks=document["num_tracks"],
        num_unmatched=document["num_unmatched"],
        values=Measures(**{name: math.nan if value is None else value for name, value in document["values"].items()}),
        counts=TapvidCounts(thresholds=tuple(counts.pop("thresholds")), **{name: np.array(value) for name, value in counts.items()}),
        survival=Survival(**document["survival"]),
    )


def mean_measures(clips: Sequence[LabelMeasures]) -> dict[str, DefinedMean]:
    """Means over the clips in which a measure is defined, all clips alike; by name."""
    return {name: defined_mean([getattr(clip.values, name) for clip in clips]) for name in MEASURES}


def pooled_counts(clips: Sequence[LabelMeasures]) -> TapvidCounts:
    """All tracks and frames of all clips together. At least one clip."""
    total = clips[0].counts
    for clip in clips[1:]:
        total = replace(total, **{name: getattr(total, name) + getattr(clip.counts, name) for name in COUNTED})
    return total


def pooled_measures(clips: Sequence[LabelMeasures], errors: ErrorHistogram) -> Measures:
    """As if all clips were one; the median from the histogram, exact to 0.5 %."""
    survival = Survival(frames=sum(clip.survival.frames for clip in clips), survived=sum(clip.survival.survived for clip in clips))
    return _measures(fractions_of(pooled_counts(clips)), errors.quantile(0.5), survival)


def _measures(metrics: TapvidMetrics, median_error_px: float, survival: Survival) -> Measures:
    return Measures(
        average_jaccard=float(metrics.average_jaccard),
        average_pts_within_thresh=float(metrics.average_pts_within_thresh),
        occlusion_accuracy=float(metrics.occlusion_accuracy),
        median_error_px=median_error_px,
        survival=survival.share,
    )
