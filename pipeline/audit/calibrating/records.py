"""A calibration with its history (its labels, the clips it was fitted on, its test on others), and as a JSON document."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.audit.calibration import Calibration, CalibrationTerm
from pipeline.errors import ConfigError, DataError
from pipeline.tables import read_document, write_document

_UNKNOWN = None  # JSON has no NaN
_Make = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteHalf:
    """The clips that a calibration was fitted on, or tested on."""

    datasets: tuple[str, ...]  # name and plan hash of each, "synthetic-wild 1a2b3c4d"
    num_clips: int
    num_tracks: int  # whose error is known
    bad_share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureReport:
    """Figures of one measure alone, as a score of bad tracks, on the held-out half. NaN where it is never known."""

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
    """Tracks left by a gate: those with a probability below the threshold."""

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
    """Figures of the calibration on clips that it was not fitted on."""

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
    cycle: str  # the source of fb_cycle, as in AuditSet
    measures: str  # version of the tracks' measures
    bad_definition: str  # what a bad track is, in words
    calibration: Calibration
    fit: SuiteHalf
    held_out: HeldOutReport


def write_calibration(uri: str, record: CalibrationRecord) -> None:
    """Publish a record as JSON. Equal records give equal bytes."""
    write_document(uri, calibration_document(record), "calibration")


def read_calibration(uri: str) -> CalibrationRecord:
    """Read a record that `write_calibration` wrote.

    Raises: StorageError if it is not there, FormatError for a newer schema, DataError if it is not a calibration, ConfigError if it
        was fitted on measures that this version does not have.
    """
    document = read_document(uri, "calibration")
    return calibration_from_document({name: value for name, value in document.items() if name in _FIELDS}, where=uri)


def calibration_document(record: CalibrationRecord) -> dict[str, Any]:
    """The record in JSON types; what is not known is null."""
    return dict(json.loads(json.dumps(_plain(dataclasses.asdict(record)), allow_nan=False)))


def calibration_from_document(document: Mapping[str, Any], *, where: str) -> CalibrationRecord:
    """The record that a document describes.

    Args:
        where: file or audit that the document comes from, for errors.
    Raises: DataError if it is not a calibration; ConfigError if it was fitted on measures that this version does not have.
    """
    try:
        return _record(document)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
        raise DataError(f"{where}: not a calibration ({error!r}); fit it again with jobs/audit.py calibrate") from error


_FIELDS = tuple(field.name for field in dataclasses.fields(CalibrationRecord))


def _record(document: Mapping[str, Any]) -> CalibrationRecord:
    return CalibrationRecord(
        **{
            **document,
            "options": dict(document["options"]),
            "calibration": _calibration(document["calibration"]),
            "fit": _half(document["fit"]),
            "held_out": _held_out(document["held_out"]),
        }
    )


def _calibration(document: Mapping[str, Any]) -> Calibration:
    return Calibration(**{**document, "terms": tuple(_term(term) for term in document["terms"])})


def _term(document: Mapping[str, Any]) -> CalibrationTerm:
    curve = {name: tuple(document.get(name, ())) for name in ("knots", "bends")}
    return CalibrationTerm(**{**document, **curve})


def _half(document: Mapping[str, Any]) -> SuiteHalf:
    return SuiteHalf(**{**document, "datasets": tuple(document["datasets"])})


def _held_out(document: Mapping[str, Any]) -> HeldOutReport:
    parts: dict[str, _Make] = {
        "reliability": lambda row: ReliabilityBin(**row),
        "measures": lambda row: MeasureReport(**_known(row)),
        "gates": lambda row: GateReport(**_known(row)),
        "domains": lambda row: DomainReport(**_known(row)),
    }
    rows = {name: tuple(make(row) for row in document[name]) for name, make in parts.items()}
    return HeldOutReport(**{**document, **rows, "suite": _half(document["suite"])})


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float("nan") if value is _UNKNOWN else value for name, value in row.items()}


def _plain(value: Any) -> Any:
    """The value with NaN as null."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return _UNKNOWN if isinstance(value, float) and value != value else value
