"""From audited datasets to a calibration record: fitted on one half, tested on the other."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from pipeline.audit.calibrating.figures import (
    ECE_BINS,
    TABLE_BINS,
    auroc,
    aurocs_by_clip,
    average_precision,
    brier,
    expected_calibration_error,
    gate_report,
    precision_at_recall,
    reliability,
)
from pipeline.audit.calibrating.fit import TermPlan, fit_calibration, predict
from pipeline.audit.calibrating.gather import AuditedDataset
from pipeline.audit.calibrating.records import CalibrationRecord, DomainReport, HeldOutReport, MeasureReport
from pipeline.audit.calibrating.samples import BAD_DEFINITION, TrackSamples, samples_of
from pipeline.audit.calibration import Calibration
from pipeline.audit.records import measure_names
from pipeline.errors import ConfigError

GATES = (0.1, 0.2, 0.3, 0.5)
_LEAST_OF_EACH = 50  # bad, and good, tracks in either half


def held_out_report(calibration: Calibration, samples: TrackSamples) -> HeldOutReport:
    """Every figure of a calibration on the held-out half. The calibration error is over 10 bins of equal width, the table has 6."""
    probability, bad = predict(calibration, samples), samples.bad
    return HeldOutReport(
        suite=samples.half(),
        auroc=auroc(probability, bad),
        auroc_mean=_mean(aurocs_by_clip(probability, bad, samples.clip)),
        brier=brier(probability, bad),
        ece=_ece(probability, bad),
        reliability=reliability(probability, bad, num_bins=TABLE_BINS),
        measures=tuple(measure_report(samples, name) for name in measure_names()),
        gates=tuple(gate_report(probability, bad, threshold) for threshold in GATES),
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


def calibrate(fit: Sequence[AuditedDataset], held_out: Sequence[AuditedDataset], plan: TermPlan) -> CalibrationRecord:
    """Fit on some datasets, report on others.

    Raises: ConfigError if the datasets are not audits of one labeler alike, if one dataset is in both halves, or if either half has
        fewer than 50 bad or good tracks.
    """
    _check_alike([*fit, *held_out])
    fitted, tested = samples_of([each.samples for each in fit]), samples_of([each.samples for each in held_out])
    shared = sorted(set(fitted.datasets) & set(tested.datasets))
    if shared:
        raise ConfigError(f"{', '.join(shared)} is in both halves: what a calibration was fitted on says nothing of it; give other clips")
    for name, samples in (("--root", fitted), ("--held-out", tested)):
        _check_enough(name, samples)
    model = fit_calibration(fitted, plan, version="unnamed")
    first = fit[0]
    calibration = Calibration(terms=model.terms, intercept=model.intercept, version=_version(first.label_set.labeler, model))
    return CalibrationRecord(
        labeler=first.label_set.labeler,
        checkpoint_sha256=first.label_set.checkpoint_sha256,
        precision=first.label_set.precision,
        options=dict(first.label_set.configuration.get("options", {})),
        cycle=first.audit.cycle,
        measures=first.audit.measures,
        bad_definition=BAD_DEFINITION,
        calibration=calibration,
        fit=fitted.half(),
        held_out=held_out_report(calibration, tested),
    )


def _version(labeler: str, model: Calibration) -> str:
    """Name of the model by its content: `<labeler>-<8 hex>`."""
    text = json.dumps([[asdict(term) for term in model.terms], model.intercept], sort_keys=True)
    return f"{labeler}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _check_alike(datasets: Sequence[AuditedDataset]) -> None:
    first = datasets[0]
    for each in datasets[1:]:
        for name, wanted, found in (
            ("labeler", first.label_set.labeler, each.label_set.labeler),
            ("checkpoint", first.label_set.checkpoint_sha256, each.label_set.checkpoint_sha256),
            ("precision", first.label_set.precision, each.label_set.precision),
            ("options", first.label_set.configuration.get("options"), each.label_set.configuration.get("options")),
            ("cycle", first.audit.cycle, each.audit.cycle),
            ("version of the measures", first.audit.measures, each.audit.measures),
            ("second label set", first.audit.second is not None, each.audit.second is not None),
        ):
            if wanted != found:
                where = " and ".join(part.samples.datasets[0] for part in (first, each))
                raise ConfigError(f"{where} differ in {name}: {wanted} and {found}; a calibration is of one labeler, audited in one way")


def _check_enough(option: str, samples: TrackSamples) -> None:
    num_bad = int(samples.bad.sum())
    num_good = len(samples.bad) - num_bad
    if min(num_bad, num_good) < _LEAST_OF_EACH:
        raise ConfigError(
            f"the datasets of {option} have {num_bad} bad and {num_good} good tracks, expected at least {_LEAST_OF_EACH} of each;"
            " add clips, or points with --queries"
        )
