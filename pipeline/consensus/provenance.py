"""Provenance of a consensus: which sets were fused, which of them vote together, and how it is told in label_set.json."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.audit.stored.audit_set import AuditSet
from pipeline.consensus.fusion import AGREE_PX
from pipeline.errors import DataError
from pipeline.records import LabelSet

CONSENSUS = "consensus"  # labeler name of the sets
VISIBILITY_RULE = "votes above one half"
_FAMILIES = {
    **dict.fromkeys(("cotracker3-offline", "cotracker3-online", "cotracker-package"), "cotracker"),
    "refined-flow": "dis-flow",  # whose chains it begins from
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A label set that is fused, and the audit that says how far its tracks are trusted; None where all are trusted alike."""

    label_set: LabelSet
    audit: AuditSet | None

    @property
    def vote(self) -> str:
        """Name of its vote: the family of its labeler."""
        return _FAMILIES.get(self.label_set.labeler, self.label_set.labeler)


def describe_consensus(members: Sequence[Member], *, agree_px: float) -> LabelSet:
    """The label set that these members make.

    `options` of its configuration is how labels of this kind are made, of whichever clips: what a calibration holds for. `parents` is
    which sets of this root they were made from.
    """
    configuration: dict[str, Any] = {
        "options": {
            "agree_px": agree_px,
            "votes": "equal" if all(member.audit is None for member in members) else "trust",
            "members": [_recipe(member) for member in members],
        },
        "visibility_rule": VISIBILITY_RULE,
        "parents": [_parent(member) for member in members],
    }
    queries = [member.label_set.queries for member in members]
    if queries[0] and all(each == queries[0] for each in queries):
        configuration["queries"] = dict(queries[0])
    licenses = {member.label_set.license for member in members} - {None}
    return LabelSet(
        labeler=CONSENSUS,
        configuration=configuration,
        precision="float64",
        versions={"numpy": np.__version__},
        license="; ".join(sorted(map(str, licenses))) or None,
    )


def is_consensus(label_set: LabelSet) -> bool:
    """Whether a label set is one, and not that of somebody's labeler of this name."""
    return label_set.labeler == CONSENSUS and "parents" in label_set.configuration


def recorded_options(label_set: LabelSet) -> dict[str, Any]:
    """Options of jobs/consensus.py that make what is missing of a set, by name; those at their default are left out.

    Raises: DataError if the set's provenance is not that of a consensus.
    """
    try:
        options, parents = label_set.configuration["options"], label_set.configuration["parents"]
        audits = [parent["audit"]["name"] for parent in parents if parent["audit"] and parent["audit"]["name"] != parent["name"]]
        found = {
            "labels": [parent["name"] for parent in parents],
            "audit": audits,
            "agree_px": None if options["agree_px"] == AGREE_PX else options["agree_px"],
            "equal_votes": options["votes"] == "equal",
        }
    except (KeyError, TypeError) as error:
        raise DataError(f"{label_set.name} does not say what it was fused from ({error!r}); restore its label_set.json") from error
    return {name: value for name, value in found.items() if value not in (None, False, [])}


def _recipe(member: Member) -> dict[str, Any]:
    made = member.label_set
    return {
        "labeler": made.labeler,
        "vote": member.vote,
        "options": dict(made.configuration.get("options", {})),
        "checkpoint_sha256": made.checkpoint_sha256,
        "precision": made.precision,
        "trust": None if member.audit is None else member.audit.weights,
    }


def _parent(member: Member) -> dict[str, Any]:
    made, audit = member.label_set, member.audit
    identity = [made.labeler, made.configuration, made.checkpoint_sha256, made.precision, made.kind]
    judged = None if audit is None else {"name": audit.name, "identity": _digest(asdict(audit))}
    return {"name": made.name, "identity": _digest(identity), "audit": judged}


def _digest(document: Any) -> str:
    """SHA-256 of JSON types, 64 hex digits."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
