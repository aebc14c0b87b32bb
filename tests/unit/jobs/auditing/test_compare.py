"""jobs/audit.py compare: what is refused, and what is said."""

from dataclasses import replace

import pytest

from jobs.auditing.compare_job import ComparingConfig, compare_dataset
from jobs.auditing.compare_report import comparison_document, hidden_rows, report_comparison, worst_rows
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from pipeline.audit.comparing.canary import canary_report
from pipeline.audit.comparing.records import Comparison, DriftRow, DriftRules
from pipeline.audit.stored.audit_set import AuditSet, claim_audit
from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.audit.verdict import verdict_of
from pipeline.errors import ConfigError
from pipeline.tables import document_bytes
from tests.audited_clips import write_audit_shard

INLINE = Executor(name="inline", limits=Limits())


def audit_set(name: str) -> AuditSet:
    empty = {"checkpoint_sha256": None, "measures": "1", "weights": "1", "rules": {}, "screen": None, "calibration": None}
    return AuditSet(name=name, label_set=name, labeler="x", cycle="none", **empty)


def row(measure: str, level: str, group: str = "all clips") -> DriftRow:
    return DriftRow(measure=measure, psi=0.3, ks=float("nan"), wasserstein=1.0, unit="px", level=level, note="higher by 1 px", group=group)


def comparison(*rows: DriftRow) -> Comparison:
    rules = DriftRules()
    return Comparison(
        first=audit_set("a"),
        second=audit_set("b"),
        rules=rules,
        num_clips={"all clips": 3},
        left_out={},
        rows=rows,
        canary=canary_report("same labels", [], rules),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"second": "a"}, "a was given twice"),
        ({"second": "/elsewhere/audit/b"}, "only audits of one dataset"),
        ({"num_canaries": 0}, "--canary is 0"),
    ],
)
def test_what_cannot_be_compared_is_bad_usage(changes, message):
    with pytest.raises(ConfigError, match=message):
        ComparingConfig(**{"root": "r", "first": "a", "second": "b", "executor": INLINE, **changes})


def test_an_unknown_audit_lists_those_there(tmp_path):
    claim_audit(str(tmp_path), audit_set("a"))
    with pytest.raises(ConfigError, match="no audit 'b'.*one of: a"):
        compare_dataset(ComparingConfig(root=str(tmp_path), first="a", second="b", executor=INLINE))


def test_audits_without_a_common_clip_are_refused_with_counts(tmp_path):
    for name in ("a", "b"):
        claim_audit(str(tmp_path), audit_set(name))
        write_audit_shard(str(tmp_path), name, 0, [ClipAudit(key=f"only-{name}", verdict=verdict_of(["dark"]))])
    with pytest.raises(ConfigError, match=r"no measured clip in common \(2 measured in neither\)"):
        compare_dataset(ComparingConfig(root=str(tmp_path), first="a", second="b", executor=INLINE))


def test_the_document_is_json_without_nan_and_says_what_failed():
    found = comparison(row("neigh_max", "fail"), row("len", "warn"))
    document = comparison_document(found)
    assert document["fails"] == ["drift of neigh_max in all clips: higher by 1 px"]
    assert document["exit_code"] == 4
    assert document["drift"][0]["ks"] is None
    assert document["canary"]["relation"] == "same labels"
    assert b'"schema_version": 1' in document_bytes(document, "audit_comparison")
    assert comparison_document(replace(found, rows=(row("len", "warn"),)))["exit_code"] == 0


def test_bins_are_listed_where_they_are_worse_than_the_whole():
    worse, alike = row("len", "fail", "still"), row("neigh_max", "fail", "still")
    assert hidden_rows(comparison(row("neigh_max", "fail"), row("len", "warn"), alike, worse)) == [worse]


def test_the_verdict_comes_first_then_the_five_that_moved_most_and_all_of_them_when_asked(capsys):
    rows = [replace(row(f"measure_{number}", "fine"), psi=number / 100) for number in range(7)]
    rows += [row("failed", "fail"), row("warned", "fine"), replace(row("warned", "warn", "still"), psi=float("nan"))]
    found = comparison(*rows)
    assert [(each.measure, each.group) for each in worst_rows(found)] == [
        ("failed", "all clips"),
        ("warned", "still"),
        *((f"measure_{number}", "all clips") for number in (6, 5, 4)),
    ]
    assert report_comparison(found, "r", None) == 4
    short = capsys.readouterr()
    assert short.out.splitlines()[0] == "no: b is not what a was (1 reason)"
    assert "the 5 of 9 measures that moved most" in " ".join(short.out.split())
    assert "measure_3" not in short.out
    assert "gate: drift of failed in all clips: higher by 1 px" in short.err
    assert report_comparison(replace(found, rows=tuple(rows[:7])), "r", None, verbose=True) == 0
    whole = capsys.readouterr().out
    assert whole.splitlines()[0] == "yes: b may take the place of a"
    assert all(f"measure_{number}" in whole for number in range(7))
