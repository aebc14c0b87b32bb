"""The calibration of an audit."""

from dataclasses import dataclass
from typing import Any

from pipeline.audit.calibrating.records import CalibrationRecord, calibration_document, read_calibration
from pipeline.audit.calibrating.shipped import mismatch, shipped_calibration
from pipeline.audit.tracks.measure import MEASURES_VERSION
from pipeline.errors import ConfigError
from pipeline.records import LabelSet


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenCalibration:
    """A calibration, or none, and what a person should know of it."""

    record: CalibrationRecord | None
    warnings: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any] | None:
        """The record in JSON types; an unknown number is null."""
        return None if self.record is None else calibration_document(self.record)


def choose_calibration(choice: str, label_set: LabelSet, cycle: str) -> ChosenCalibration:
    """The calibration that `--calibration` names: auto (the one shipped for these labels, if any), none, or a file.

    Args:
        cycle: of the audit.
    Raises: ConfigError for a calibration of another labeler, checkpoint, or version of the measures; StorageError, DataError.
    """
    if choice == "none":
        return ChosenCalibration(record=None)
    if choice == "auto":
        return ChosenCalibration(record=shipped_calibration(label_set, cycle))
    record = read_calibration(choice)
    _check_fit(record, choice, label_set)
    doubt = mismatch(record, label_set, cycle)
    return ChosenCalibration(record=record, warnings=(f"{choice}: {doubt}",) if doubt else ())


def _check_fit(record: CalibrationRecord, uri: str, label_set: LabelSet) -> None:
    if record.labeler != label_set.labeler:
        raise ConfigError(
            f"{uri} is a calibration of {record.labeler}, the labels are of {label_set.labeler}: it says nothing of them; give one that was"
            " fitted on this labeler (jobs/audit.py calibrate), or --calibration none"
        )
    if record.checkpoint_sha256 != label_set.checkpoint_sha256:
        found, wanted = (str(each)[:12] for each in (record.checkpoint_sha256, label_set.checkpoint_sha256))
        raise ConfigError(
            f"{uri} is a calibration of {record.labeler} with checkpoint {found}, the labels were made with {wanted}; fit it again on that"
            " checkpoint (jobs/audit.py calibrate), or give --calibration none"
        )
    if record.measures != MEASURES_VERSION:
        raise ConfigError(
            f"{uri} was fitted on measures {record.measures}, this version takes {MEASURES_VERSION}; fit it again (jobs/audit.py calibrate)"
        )
