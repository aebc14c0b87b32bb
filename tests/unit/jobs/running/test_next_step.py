"""The next step of a dataset, for every state that a chain of jobs can be stopped in."""

from dataclasses import replace

import pytest

from jobs.running.next_step import labeler_changes, next_step, policy_options
from jobs.running.report import REMEDIES, commonest_reason
from jobs.running.root_status import AuditProgress, LabelProgress, RootStatus
from pipeline.audit.report.wording import REASON_SENTENCES
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.verdict import REASONS
from pipeline.consensus.provenance import Member, describe_consensus
from pipeline.records import LabelSet
from pipeline.shards.plan_summary import PlanSummary
from pipeline.shards.policy import ClipPolicy

PLAN = PlanSummary(
    sources=2,
    clips=6,
    shards=2,
    frames=288,
    copied_clips=0,
    estimated_bytes=0,
    copy_inflation=float("nan"),
    estimated_cpu_hours=0.0,
    registered=False,
)
BOTH = frozenset({0, 1})
CUT = RootStatus(root="/r", dataset={"kind": "cut"}, plan=PLAN, shards=BOTH, cut=BOTH, clips_cut=6)
LABELS = LabelSet(
    labeler="lucas-kanade",
    configuration={
        "options": {"reseed_below": 0.5, "round_trip_px": 1.0},
        "queries": {"policy": "corners", "num_queries": 36, "num_query_frames": 2, "margin": 0.0},
        "cycle": True,
    },
)
DONE = LabelProgress(label_set=LABELS, shards=BOTH, statuses={"ok": 6})


def audit(**changes) -> AuditProgress:
    identity = AuditSet(
        name=changes.pop("name", LABELS.name),
        label_set=LABELS.name,
        labeler="lucas-kanade",
        checkpoint_sha256=None,
        measures="1",
        weights="1",
        rules={},
        screen=None,
        calibration=None,
        cycle="stored",
    )
    return AuditProgress(audit=identity, **{"shards": BOTH, "decisions": {"keep": 6}, "passes": True, **changes})


@pytest.fixture(autouse=True)
def _called_by_the_console_script(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/opt/venv/bin/trackmill"])


def commands(status: RootStatus) -> list[str]:
    return [line.removeprefix("/opt/venv/bin/") for line in next_step(status, "r").commands]


def test_what_is_cut_is_screened_then_labelled():
    assert commands(CUT) == ["trackmill screen --root r", "trackmill label --root r --labeler dis-flow"]
    assert commands(replace(CUT, screened=BOTH)) == ["trackmill label --root r --labeler dis-flow"]


def test_a_screen_that_was_stopped_goes_on():
    step = next_step(replace(CUT, screened=frozenset({1})), "r")
    assert step.missing == "1 shard to screen: go on"
    assert commands(replace(CUT, screened=frozenset({1}))) == ["trackmill screen --root r"]


def test_labels_that_were_stopped_go_on_by_the_recorded_options():
    (line,) = commands(replace(CUT, screened=BOTH, labels=(replace(DONE, shards=frozenset({0})),)))
    assert line == (
        "trackmill label --root r --labeler lucas-kanade --queries 36 --query-policy corners --query-frames 2"
        " --option reseed_below=0.5 --cycle --screen ignore"
    )


def test_a_labeler_that_only_the_user_can_call_has_no_command():
    mine = LabelProgress(label_set=LabelSet(labeler="mine", configuration={}), shards=frozenset(), statuses={})
    step = next_step(replace(CUT, labels=(mine,)), "r")
    assert step.commands == ()
    assert "2 shards to label in mine-" in step.missing


def test_a_consensus_that_was_stopped_goes_on_once_its_parents_are_whole():
    made = describe_consensus([Member(label_set=each, audit=None) for each in (LABELS, replace(LABELS, labeler="dis-flow"))], agree_px=2.0)
    waiting = LabelProgress(label_set=made, shards=frozenset({0}), statuses={})
    parents = made.configuration["parents"]
    assert commands(replace(CUT, labels=(waiting, DONE))) == [
        f"trackmill consensus --root r --labels {parents[0]['name']} --labels {parents[1]['name']} --agree-px 2.0 --equal-votes"
    ]
    (line,) = commands(replace(CUT, labels=(waiting, replace(DONE, shards=frozenset()))))
    assert line.startswith("trackmill label ")


def test_labels_are_audited_and_an_audit_is_finished_under_its_name():
    assert commands(replace(CUT, labels=(DONE,))) == [f"trackmill audit run --root r --labels {LABELS.name}"]
    half = replace(CUT, labels=(DONE,), audits=(audit(name="second", passes=None),))
    assert commands(half) == [f"trackmill audit run --root r --labels {LABELS.name} --name second --cycle stored"]


def test_only_an_audit_that_lets_its_labels_through_leads_to_training():
    closed, open_ = audit(passes=False, decisions={"drop": 6}), audit(name="second")
    assert [line.split()[1] for line in commands(replace(CUT, labels=(DONE,), audits=(closed,)))] == ["show"]
    following = commands(replace(CUT, labels=(DONE,), audits=(closed, open_)))
    assert [line.split()[1] for line in following] == ["show", "synthesize", "train"]
    assert following[-1].endswith("--set data.pseudo.0.root=r --set data.pseudo.0.audit=second")


def test_a_dataset_with_truth_needs_no_labels():
    following = commands(replace(CUT, dataset={"kind": "converted"}))
    assert [line.split()[1] for line in following] == ["train", "label"]


def test_nobody_is_told_to_train_on_an_evaluation_set():
    step = next_step(replace(CUT, dataset={"kind": "converted"}, stores_images=True), "r")
    assert step.missing.endswith("can be measured on")
    assert [line.split()[1:3] for line in step.commands] == [["evaluate", "model"]]


def test_nothing_planned_leaves_it_to_the_user():
    assert next_step(RootStatus(root="/r", dataset={}, plan=None), "r").commands == ()


def test_the_options_of_a_recorded_policy_are_those_that_differ():
    assert policy_options(ClipPolicy().document()) == []
    changed = ClipPolicy(clip_frames=24, video="h264", split_shares={"train": 0.5, "test": 0.5}).document()
    changed["encode"] = {**changed["encode"], "long_side": 256}
    assert policy_options(changed) == [
        *("--clip-frames", "24", "--video", "h264", "--split-shares", "train=0.5,test=0.5", "--long-side", "256")
    ]  # fmt: skip


def test_a_recorded_default_of_a_labeler_is_no_change():
    assert labeler_changes("dis-flow", {"round_trip_px": 1.0, "reseed_every": 3, "unknown": 1}) == ["reseed_every=3"]


def test_every_reason_against_a_clip_has_a_remedy_and_a_sentence():
    against = {reason for reason, decision in REASONS.items() if decision != "keep"}
    assert against == {*REMEDIES}
    assert against <= {*REASON_SENTENCES}


def test_the_worst_reason_is_the_one_that_costs_most_clips():
    class Summary:
        reasons = {"static": 2, "screened": 9, "low_coverage": 3, "mostly_dynamic": 9}

    assert commonest_reason(Summary) == "low_coverage"
    Summary.reasons = {"low_coverage": 2, "cut_inside": 2}
    assert commonest_reason(Summary) == "cut_inside"
    Summary.reasons = {"fixed_camera": 1}
    assert commonest_reason(Summary) is None
