"""A calibration with its history: for which labels it holds, what it was fitted on, and how it did where it was not fitted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.audit.calibration import Calibration


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteHalf:
    """The clips that a calibration was fitted on, or tested on."""

    datasets: tuple[str, ...]  # name and plan hash of each, "synthetic-wild 1a2b3c4d"
    num_clips: int
    num_tracks: int  # whose error is known
    bad_share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureReport:
    """How well one measure alone tells bad tracks from good ones on the held-out half. NaN where it is never known."""

    measure: str
    auroc_mean: float  # over clips that have both kinds
    auroc_sd: float
    auroc_min: float
    average_precision: float  # all tracks together
    precision_at_90_recall: float
    coverage: float  # share of tracks of which it is known; the unknown are left out of the figures above


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """Tracks of about the same predicted probability."""

    predicted: float  # mean
    observed: float  # share that is bad
    num_tracks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GateReport:
    """What is left when only tracks with a probability below the threshold are kept."""

    threshold: float
    kept_share: float
    bad_before: float
    bad_after: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainReport:
    """One dataset of the held-out half by itself."""

    dataset: str
    num_clips: int
    auroc: float
    ece: float
    bad_share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutReport:
    """How the calibration did on clips that it was not fitted on."""

    suite: SuiteHalf
    auroc: float  # all tracks together
    auroc_mean: float  # over clips that have both kinds
    brier: float
    ece: float  # expected calibration error over the reliability bins
    reliability: tuple[ReliabilityBin, ...]
    measures: tuple[MeasureReport, ...]
    gates: tuple[GateReport, ...]
    domains: tuple[DomainReport, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationRecord:
    """A calibration, keyed by the labeler and checkpoint on whose labels it was fitted."""

    labeler: str
    checkpoint_sha256: str | None
    precision: str
    options: Mapping[str, Any]  # of the labeler; others are a reason to fit again
    cycle: str  # stored | retrack | none, as in AuditSet: where fb_cycle came from
    measures: str  # version of the tracks' measures
    bad_definition: str  # what a bad track is, in words
    calibration: Calibration
    fit: SuiteHalf
    held_out: HeldOutReport
