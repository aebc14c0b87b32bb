"""What a consensus says of its making: its name, what a calibration holds for, its licence, and the command that goes on with it."""

from dataclasses import replace

import pytest

from pipeline.audit.calibrating.shipped import mismatch, shipped_calibrations
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.consensus.provenance import Member, describe_consensus, is_consensus, recorded_options
from pipeline.errors import DataError
from pipeline.records import LabelSet

GRID = {"policy": "grid", "num_queries": 256}
FLOW = LabelSet(labeler="dis-flow", configuration={"options": {"jumps": [1, 2]}, "queries": GRID, "screen": "ab"})
NETWORK = LabelSet(
    labeler="cotracker3-online", configuration={"options": {}, "queries": GRID}, checkpoint_sha256="cd", license="CC BY-NC 4.0"
)


def audit(judged: LabelSet, **changed: object) -> AuditSet:
    identity = {"name": judged.name, "label_set": judged.name, "labeler": judged.labeler, "checkpoint_sha256": None}
    given = {"measures": "2", "weights": "fallback-1", "rules": {}, "screen": None, "calibration": None, "cycle": "none"}
    return AuditSet(**{**identity, **given, **changed})


def made(*sets: LabelSet, agree_px: float = 4.0, **audits: object) -> LabelSet:
    return describe_consensus([Member(label_set=each, audit=audit(each, **audits)) for each in sets], agree_px=agree_px)


def test_variants_of_cotracker_and_of_one_labeler_have_one_vote():
    names = ["cotracker3-online", "cotracker3-offline", "cotracker-package", "dis-flow", "refined-flow", "lucas-kanade"]
    votes = [Member(label_set=replace(FLOW, labeler=name), audit=None).vote for name in names]
    assert votes == ["cotracker", "cotracker", "cotracker", "dis-flow", "dis-flow", "lucas-kanade"]


def test_the_set_names_its_parents_and_carries_their_queries_and_licences():
    found = made(FLOW, NETWORK)
    assert found.name.startswith("consensus-")
    assert is_consensus(found)
    assert not is_consensus(replace(FLOW, labeler="consensus"))
    assert [parent["name"] for parent in found.configuration["parents"]] == [FLOW.name, NETWORK.name]
    assert all(len(parent["identity"]) == 64 for parent in found.configuration["parents"])
    assert (found.queries, found.license) == (GRID, "CC BY-NC 4.0")
    assert made(replace(FLOW, license="MIT"), NETWORK).license == "CC BY-NC 4.0; MIT"
    asked_otherwise = replace(NETWORK, configuration={"options": {}, "queries": {"policy": "sift"}})
    assert made(FLOW, asked_otherwise).queries == {}


def test_its_name_tells_all_that_changes_it():
    equal = describe_consensus([Member(label_set=each, audit=None) for each in (FLOW, NETWORK)], agree_px=4.0)
    others = (made(NETWORK, FLOW), made(FLOW, NETWORK, agree_px=2.0), made(FLOW, NETWORK, weights="fallback-2"), equal)
    assert len({found.name for found in (made(FLOW, NETWORK), *others)}) == 5


def test_a_calibration_holds_for_the_same_recipe_of_other_sets_and_for_no_other():
    found = made(FLOW, NETWORK)
    elsewhere = made(replace(FLOW, configuration={**FLOW.configuration, "screen": "ef"}), NETWORK)
    assert elsewhere.name != found.name
    fitted = replace(
        next(iter(shipped_calibrations())), labeler="consensus", precision=found.precision, options=found.configuration["options"]
    )
    assert mismatch(fitted, elsewhere, "none") is None
    assert "agree_px=2.0" in str(mismatch(fitted, made(FLOW, NETWORK, agree_px=2.0), "none"))
    assert "votes=equal" in str(mismatch(fitted, describe_consensus([Member(label_set=FLOW, audit=None)], agree_px=4.0), "none"))


def test_the_command_that_goes_on_has_the_options_that_were_given():
    names = [FLOW.name, NETWORK.name]
    assert recorded_options(made(FLOW, NETWORK)) == {"labels": names}
    named = made(FLOW, NETWORK, agree_px=2.5, name="mine")
    assert recorded_options(named) == {"labels": names, "audit": ["mine", "mine"], "agree_px": 2.5}
    equal = describe_consensus([Member(label_set=FLOW, audit=None), Member(label_set=NETWORK, audit=None)], agree_px=4.0)
    assert recorded_options(equal) == {"labels": names, "equal_votes": True}
    with pytest.raises(DataError, match=r"does not say what it was fused from .* restore its label_set\.json"):
        recorded_options(LabelSet(labeler="consensus", configuration={"parents": [{}]}))
