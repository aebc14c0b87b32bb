"""An audit's identity, audit.json: which labels were judged, by which rules."""

import dataclasses
import glob
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.layout import Layout, committed
from pipeline.tables import read_document, write_document

CYCLES = ("stored", "retrack", "none")  # stored: as the labels hold it; retrack: followed back again here


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSet:
    """Identity of an audit: all that decides its verdicts and weights, in JSON types. Holds no clock time and no path."""

    name: str  # of its directory; the label set's own by default
    label_set: str
    labeler: str
    checkpoint_sha256: str | None
    measures: str  # version of the tracks' measures
    weights: str  # version of the rule that makes weights: the fallback's, or the calibration's
    rules: Mapping[str, Any]  # ClipRules
    screen: Mapping[str, Any] | None  # the screen's rules; None where the dataset was not screened
    calibration: Mapping[str, Any] | None  # the calibration record whole; None: fallback weights
    cycle: str  # one of CYCLES
    second: str | None = None  # label set asked for a second opinion

    def __post_init__(self) -> None:
        if self.cycle not in CYCLES:
            raise ConfigError(f"--cycle is {self.cycle!r}, expected one of {', '.join(CYCLES)}")


_FIELDS = tuple(field.name for field in dataclasses.fields(AuditSet))


def claim_audit(root: str, audit: AuditSet) -> None:
    """Write audit.json, or check that the one there is the same. Before the first audited shard, a new one replaces it.

    Raises: ConfigError naming what differs.
    """
    uri, document = Layout(root).audit_json(audit.name), dataclasses.asdict(audit)
    if not (storage.exists(uri) and committed(Layout(root).audit(audit.name))):
        write_document(uri, document, "audit")
        return
    found = dataclasses.asdict(read_audit_set(root, audit.name))
    differing = [name for name in _FIELDS if found[name] != document[name]]
    if differing:
        raise ConfigError(
            f"{uri}: this audit was made with other settings ({', '.join(differing)} differ); give the same ones, or keep both by"
            " giving this one a name of its own with --name"
        )


def read_audit_set(root: str, name: str) -> AuditSet:
    """Raises ConfigError, listing those that exist, if there is no audit of this name."""
    uri = Layout(root).audit_json(name)
    if not storage.exists(uri):
        existing = list_audits(root)
        choice = f"one of: {', '.join(existing)}" if existing else "none yet: run jobs/audit.py run first"
        raise ConfigError(f"no audit {name!r} under {root}; there is {choice}")
    document = read_document(uri, "audit")
    try:
        audit = AuditSet(**{field: document[field] for field in _FIELDS})
        _check_kinds(audit)
        return audit
    except (KeyError, TypeError, ConfigError, DataError) as error:
        raise DataError(f"{uri}: not the identity of an audit ({error!r}); delete the directory and audit again") from error


def _check_kinds(audit: AuditSet) -> None:
    """Raise DataError for a field of another JSON type than its own."""
    for name in _FIELDS:
        value = getattr(audit, name)
        wanted = dict if name in ("rules", "screen", "calibration") else str
        if not isinstance(value, wanted) and not (value is None and name in ("checkpoint_sha256", "screen", "calibration", "second")):
            raise DataError(f"{name} is {value!r:.80}, expected {'an object' if wanted is dict else 'text'}")


def list_audits(root: str) -> list[str]:
    """Names of the audits of a dataset, sorted."""
    return sorted(uri.split("/")[-2] for uri in storage.glob(Layout(glob.escape(root)).audit_json("*")))
