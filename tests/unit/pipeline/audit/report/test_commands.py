"""The commands that the page prints: they name the real dataset, and a shell reads back what was meant."""

import shlex

from pipeline.audit.report.commands import (
    audit_command,
    baseline_command,
    calibrate_command,
    clip_commands,
    relabel_command,
    show_command,
    stream_code,
)
from pipeline.consensus.provenance import Member, describe_consensus
from tests.unit.pipeline.audit.report.audited import LABELS, audit_set

ROOT = "/data/it's <b>ours</b>"


def test_a_clip_is_shown_with_its_audit() -> None:
    line = show_command(ROOT, audit_set(name="other one"), "k")
    assert shlex.split(line) == [
        *("python", "jobs/show.py", "--root", ROOT, "--labels", LABELS.name, "--audit", "other one", "--clip", "k", "--out", "k.mp4"),
    ]


def test_labels_are_made_again_with_their_own_settings() -> None:
    words = shlex.split(relabel_command(ROOT, LABELS))
    assert words[:6] == ["python", "jobs/pseudolabel.py", "--root", ROOT, "--labeler", "by-hand"]
    assert words[6:] == ["--queries", "5", "--query-policy", "grid", "--option", "text=it's"]


def test_a_consensus_is_made_again_from_its_parents() -> None:
    made = describe_consensus([Member(label_set=LABELS, audit=None), Member(label_set=LABELS, audit=None)], agree_px=2.0)
    words = shlex.split(relabel_command(ROOT, made))
    assert words[:4] == ["python", "jobs/consensus.py", "--root", ROOT]
    assert words[4:] == ["--labels", LABELS.name, "--labels", LABELS.name, "--agree-px", "2.0", "--equal-votes"]


def test_an_audit_is_made_again_with_its_own_settings() -> None:
    words = shlex.split(audit_command(ROOT, audit_set(name="other")))
    assert words == [
        *("python", "jobs/audit.py", "run", "--root", ROOT, "--labels", LABELS.name, "--name", "other"),
        *("--cycle", "stored", "--calibration", "none"),
    ]
    assert shlex.split(audit_command(ROOT, audit_set(second="another")))[-4:] == ["--second", "another", "--calibration", "none"]
    assert shlex.split(baseline_command(ROOT, audit_set()))[-2:] == ["--baseline", "BASELINE_AUDIT"]


def test_what_is_made_again_is_deleted_before() -> None:
    show, label, audit = clip_commands(ROOT, "k", 7, audit=audit_set(name="other"), labels=LABELS)
    assert show.line == show_command(ROOT, audit_set(name="other"), "k")
    assert shlex.split(label.line)[:3] == ["rm", f"{ROOT}/labels/{LABELS.name}/000007.parquet", "&&"]
    assert shlex.split(audit.line)[:3] == ["rm", f"{ROOT}/audit/other/000007.parquet", "&&"]
    assert len(clip_commands(ROOT, "k", 7, audit=audit_set(), labels=None)) == 2


def test_in_an_object_store_the_file_is_named_and_not_given_to_rm() -> None:
    _, label, audit = clip_commands("s3://lab/walks", "k", 7, audit=audit_set(), labels=LABELS)
    assert label.words == f"Label its shard again, once s3://lab/walks/labels/{LABELS.name}/000007.parquet is deleted:"
    assert label.line.startswith("python jobs/pseudolabel.py --root s3://lab/walks ")
    assert audit.line.startswith("python jobs/audit.py run --root s3://lab/walks ")


def test_a_calibration_is_for_this_labeler() -> None:
    words = shlex.split(calibrate_command(audit_set()))
    assert words[:3] == ["python", "jobs/audit.py", "calibrate"]
    assert words[-2:] == ["--out", "by-hand.json"]
    assert LABELS.name in words


def test_the_stream_is_valid_python() -> None:
    call = compile(stream_code(ROOT, audit_set()), "report", "eval")
    assert {ROOT, LABELS.name} <= set(call.co_consts)
    assert call.co_names == ("ClipStream", "StreamConfig")
