"""An audit's identity: written once, checked ever after."""

from dataclasses import replace

import pytest

from pipeline.audit.stored.audit_set import AuditSet, claim_audit, list_audits, read_audit_set
from pipeline.errors import ConfigError, DataError, FormatError
from pipeline.layout import Layout
from pipeline.tables import SCHEMA_VERSIONS
from tests.audited_clips import clip_of, write_audit_shard

AUDIT = AuditSet(
    name="judged",
    label_set="dis-flow-1a2b3c4d",
    labeler="dis-flow",
    checkpoint_sha256=None,
    measures="tracks-1",
    weights="fallback-1",
    rules={"version": "clip-1", "flicker": 0.2},
    screen=None,
    calibration={"labeler": "dis-flow", "terms": [{"measure": "ncc_min", "beta": 1.0}]},
    cycle="none",
)


def test_it_comes_back_and_the_same_may_be_claimed_again(tmp_path):
    claim_audit(str(tmp_path), AUDIT)
    write_audit_shard(str(tmp_path), "judged", 0, [clip_of("a")])
    claim_audit(str(tmp_path), AUDIT)
    assert read_audit_set(str(tmp_path), "judged") == AUDIT
    assert list_audits(str(tmp_path)) == ["judged"]


def test_another_one_replaces_it_only_before_the_first_shard(tmp_path):
    claim_audit(str(tmp_path), AUDIT)
    other = replace(AUDIT, cycle="stored", weights="dis-flow-2")
    claim_audit(str(tmp_path), other)
    assert read_audit_set(str(tmp_path), "judged") == other
    write_audit_shard(str(tmp_path), "judged", 0, [clip_of("a")])
    with pytest.raises(ConfigError, match=r"weights, cycle differ.*--name"):
        claim_audit(str(tmp_path), AUDIT)


def test_a_name_that_is_not_there_lists_those_that_are(tmp_path):
    with pytest.raises(ConfigError, match="none yet: run jobs/audit.py run first"):
        read_audit_set(str(tmp_path), "judged")
    claim_audit(str(tmp_path), AUDIT)
    with pytest.raises(ConfigError, match="one of: judged"):
        read_audit_set(str(tmp_path), "misjudged")


def test_broken_and_newer_identities_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="--cycle is 'twice'"):
        replace(AUDIT, cycle="twice")
    uri = tmp_path / "audit/judged/audit.json"
    claim_audit(str(tmp_path), AUDIT)
    uri.write_text('{"schema_version": 1, "name": "judged"}')
    with pytest.raises(DataError, match="not the identity of an audit"):
        read_audit_set(str(tmp_path), "judged")
    monkeypatch.setitem(SCHEMA_VERSIONS, "audit", 2)
    claim_audit(str(tmp_path), AUDIT)
    monkeypatch.setitem(SCHEMA_VERSIONS, "audit", 1)
    with pytest.raises(FormatError, match="upgrade"):
        read_audit_set(str(tmp_path), "judged")
    assert Layout(str(tmp_path)).audit_json("judged") == str(uri)
