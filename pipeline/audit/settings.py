"""What every worker of an audit needs to know."""

from dataclasses import dataclass

from pipeline.audit.calibration import Calibration
from pipeline.audit.verdict import ClipRules


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSettings:
    """One audit of one label set."""

    root: str
    audit: str  # name
    label_set: str
    rules: ClipRules
    calibration: Calibration | None  # None: fallback weights
    cycle: str  # as in AuditSet
    second: str | None = None  # label set that gives the second opinion
    screened: bool = False  # whether the screen's verdicts count
