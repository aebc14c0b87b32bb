"""The calibrations that come with trackmill, for its own labelers."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipeline.audit.calibrating.records import CalibrationRecord, read_calibration
from pipeline.records import LabelSet

_WAY_BACK = ("fb_cycle", "fb_all", "fb_agree")  # measures that need it
_PACKAGE, _FOLDER = "pipeline.audit", "calibrations"


def shipped_calibration(label_set: LabelSet, cycle: str) -> CalibrationRecord | None:
    """The shipped calibration for labels of this set; None if there is none.

    It holds for the labeler, checkpoint and precision on whose labels it was fitted, with the options that it was given there. One
    that asks for the way back holds only where that is known; one that does not holds with it and without.

    Args:
        cycle: stored | retrack | none, as in AuditSet. A way back that is stored and one that is made again are the same.
    """
    for record in shipped_calibrations():
        if mismatch(record, label_set, cycle) is None:
            return record
    return None


def shipped_calibrations() -> Iterator[CalibrationRecord]:
    """All of them, in the order of their names. Raises DataError, FormatError or ConfigError for a file that was tampered with."""
    folder = Path(str(files(_PACKAGE) / _FOLDER))
    return (read_calibration(str(path)) for path in sorted(folder.glob("*.json")))


def mismatch(record: CalibrationRecord, label_set: LabelSet, cycle: str) -> str | None:
    """Difference between this label set and the one that a calibration holds for, in words; None without any."""
    for name, wanted, found in (
        ("labeler", record.labeler, label_set.labeler),
        ("checkpoint", record.checkpoint_sha256, label_set.checkpoint_sha256),
        ("precision", record.precision, label_set.precision),
    ):
        if wanted != found:
            return f"it was fitted on labels of {name} {wanted}, these are of {found}"
    options = label_set.configuration.get("options", {})
    differing = sorted(name for name in {*record.options, *options} if _plain(record.options.get(name)) != _plain(options.get(name)))
    if differing:
        was = ", ".join(f"{name}={record.options.get(name)}" for name in differing)
        now = ", ".join(f"{name}={options.get(name)}" for name in differing)
        return f"it was fitted on labels made with {was}; these were made with {now}"
    asked = any(term.measure.startswith(_WAY_BACK) for term in record.calibration.terms)
    if asked and (record.cycle == "none") != (cycle == "none"):
        return f"it was fitted {_with_cycle(record.cycle)}, these labels are audited {_with_cycle(cycle)}"
    return None


def _with_cycle(cycle: str) -> str:
    return "without the way back" if cycle == "none" else "with the way back"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
