"""The test of a calibration on tracks that it was not fitted on."""

import numpy as np

from pipeline.audit.calibrating.figures import (
    ECE_BINS,
    TABLE_BINS,
    auroc,
    aurocs_by_clip,
    average_precision,
    brier,
    expected_calibration_error,
    gate,
    precision_at_recall,
    reliability,
)
from pipeline.audit.calibrating.fit import predicted
from pipeline.audit.calibrating.records import DomainReport, HeldOutReport, MeasureReport
from pipeline.audit.calibrating.samples import TrackSamples
from pipeline.audit.calibration import Calibration
from pipeline.audit.records import measure_names

GATES = (0.1, 0.2, 0.3, 0.5)


def held_out_report(calibration: Calibration, samples: TrackSamples) -> HeldOutReport:
    """Every figure of a calibration on the held-out half. The calibration error is over 10 bins of equal width, the table has 6."""
    probability, bad = predicted(calibration, samples), samples.bad
    return HeldOutReport(
        suite=samples.half(),
        auroc=auroc(probability, bad),
        auroc_mean=_mean(aurocs_by_clip(probability, bad, samples.clip)),
        brier=brier(probability, bad),
        ece=_ece(probability, bad),
        reliability=reliability(probability, bad, num_bins=TABLE_BINS),
        measures=tuple(measure_report(samples, name) for name in measure_names()),
        gates=tuple(gate(probability, bad, threshold) for threshold in GATES),
        domains=tuple(_of_dataset(probability, samples, number) for number in range(len(samples.datasets))),
    )


def measure_report(samples: TrackSamples, name: str) -> MeasureReport:
    """One measure alone, turned so that larger is worse. Tracks of which it is unknown are left out, and told as `coverage`."""
    values = samples.measures[name].astype(np.float64)
    known = ~np.isnan(values)
    bad, clip = samples.bad[known], samples.clip[known]
    whole = auroc(values[known], bad)
    score = -values[known] if whole < 0.5 else values[known]
    clips = aurocs_by_clip(score, bad, clip)
    return MeasureReport(
        measure=name,
        auroc_mean=_mean(clips),
        auroc_sd=float(clips.std()) if len(clips) else float("nan"),
        auroc_min=float(clips.min()) if len(clips) else float("nan"),
        average_precision=average_precision(score, bad),
        precision_at_90_recall=precision_at_recall(score, bad, 0.9),
        coverage=float(known.mean()) if len(known) else float("nan"),
    )


def _of_dataset(probability: np.ndarray, samples: TrackSamples, number: int) -> DomainReport:
    here = samples.dataset == number
    bad = samples.bad[here]
    return DomainReport(
        dataset=samples.datasets[number],
        num_clips=len(np.unique(samples.clip[here])),
        auroc=auroc(probability[here], bad),
        ece=_ece(probability[here], bad),
        bad_share=float(bad.mean()) if len(bad) else float("nan"),
    )


def _ece(probability: np.ndarray, bad: np.ndarray) -> float:
    return expected_calibration_error(reliability(probability, bad, num_bins=ECE_BINS))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
