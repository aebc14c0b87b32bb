"""jobs/audit.py calibrate without its command line."""

from dataclasses import dataclass, field

from jobs.console import ProgressLine
from pipeline import storage
from pipeline.audit.calibrating.calibrate import calibrate
from pipeline.audit.calibrating.fit import TermPlan
from pipeline.audit.calibrating.gather import AuditedDataset, gather
from pipeline.audit.calibrating.records import CalibrationRecord, write_calibration
from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibratingConfig:
    """All that jobs/audit.py calibrate is asked for."""

    audit: str  # name of the audit, the same below every root
    fit_roots: tuple[str, ...]
    held_out_roots: tuple[str, ...]
    out: str  # the record's file
    plan: TermPlan = field(default_factory=TermPlan)

    def __post_init__(self) -> None:
        for option, roots in (("--root", self.fit_roots), ("--held-out", self.held_out_roots)):
            if not roots:
                raise ConfigError(f"no dataset was given with {option}; a calibration is fitted on some and tested on others")
        twice = sorted({root for root in self.fit_roots if root in self.held_out_roots})
        if twice:
            raise ConfigError(f"{twice[0]} was given with --root and with --held-out; clips that were fitted on test nothing")
        if not self.out.endswith(".json"):
            raise ConfigError(f"--out is {self.out!r}, expected the name of a .json file")


def calibrate_labels(config: CalibratingConfig) -> CalibrationRecord:
    """Read the audits, fit, test, and write the record."""
    roots = (*config.fit_roots, *config.held_out_roots)
    found: list[AuditedDataset] = []
    with ProgressLine("reading", len(roots), "datasets") as progress:
        for root in roots:
            found.append(gather(storage.absolute(root), config.audit))
            progress.advance(1)
    half = len(config.fit_roots)
    record = calibrate(found[:half], found[half:], config.plan)
    write_calibration(storage.absolute(config.out), record)
    return record
