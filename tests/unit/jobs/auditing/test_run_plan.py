"""What an audit refuses before any worker starts, and what it makes of the label set that it is given."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.auditing.backward import labeler_of
from jobs.auditing.run_plan import AuditingConfig, AuditPlan, plan_audit
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from labelers import make_labeler
from pipeline.audit.calibrating.records import CalibrationRecord, HeldOutReport, SuiteHalf, write_calibration
from pipeline.audit.calibration import Calibration, CalibrationTerm
from pipeline.audit.stored.screen import claim_rules
from pipeline.audit.tracks.measure import MEASURES_VERSION
from pipeline.audit.verdict import ScreenRules
from pipeline.errors import ConfigError, StorageError
from pipeline.layout import Layout
from pipeline.records import LabelSet, TrackLabels
from tests.labelled_dataset import LabelledClip, write_dataset

GREY = np.zeros((2, 8, 8), np.uint8)
LABELS = TrackLabels(queries=np.zeros((1, 3), np.float32), tracks_px=np.zeros((2, 1, 2), np.float32), visibility=np.ones((2, 1), bool))
DIS_FLOW = {"labeler": "dis-flow", "configuration": {"options": dict(make_labeler("dis-flow").provenance().options)}}


def dataset(root, num_shards: int = 1, **label_set: object) -> str:
    shards = [[LabelledClip(key=f"c{number}", grey=GREY, labels=LABELS)] for number in range(num_shards)]
    return write_dataset(root, shards, **{**DIS_FLOW, **label_set})


def plan(root, label_set: str, **options: object) -> AuditPlan:
    executor = Executor(name="inline", limits=Limits())
    return plan_audit(AuditingConfig(root=str(root), label_set=label_set, executor=executor, **{"calibration": "none", **options}))


def record(**changed: object) -> CalibrationRecord:
    half = SuiteHalf(datasets=("suite 1a2b3c4d",), num_clips=2, num_tracks=100, bad_share=0.2)
    report = HeldOutReport(
        suite=half, auroc=0.9, auroc_mean=0.9, brier=0.1, ece=0.02, reliability=(), measures=(), gates=(), domains=()
    )  # fmt: skip
    term = CalibrationTerm(measure="ncc_mean", transform="one-minus", mean=0.1, sd=0.1, beta=1.0)
    values = {
        "labeler": "dis-flow",
        "checkpoint_sha256": None,
        "precision": "float32",
        "options": DIS_FLOW["configuration"]["options"],
        "cycle": "none",
        "measures": MEASURES_VERSION,
        "bad_definition": "max error > 4 px",
        "calibration": Calibration(terms=(term,), intercept=-2.0, version="test-1"),
        "fit": half,
        "held_out": report,
    }
    return CalibrationRecord(**{**values, **changed})


def test_the_plan_names_what_is_there_and_what_is_missing(tmp_path):
    name = dataset(tmp_path, num_shards=3)
    (tmp_path / f"labels/{name}/000001.parquet").unlink()
    made = plan(tmp_path, name)
    assert (made.shards, made.missing, made.not_labelled) == ((0, 2), (0, 2), 1)
    assert (made.audit.name, made.audit.cycle, made.audit.weights, made.audit.calibration) == (name, "none", "fallback-1", None)
    assert plan(tmp_path, name, name="mine").audit.name == "mine"


def test_a_stored_cycle_is_used_without_being_asked_for(tmp_path):
    name = dataset(tmp_path, configuration={**DIS_FLOW["configuration"], "cycle": True})
    assert plan(tmp_path, name).settings.cycle == "stored"
    assert plan(tmp_path, name, cycle="none").settings.cycle == "none"
    assert plan(tmp_path, name, cycle="retrack").track_backward is not None


def test_what_is_missing_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no plan"):
        plan(tmp_path, "nobody-12345678")
    name = dataset(tmp_path, num_shards=2)
    with pytest.raises(ConfigError, match=f"one of: {name}"):
        plan(tmp_path, "nobody-12345678")
    with pytest.raises(ConfigError, match=r"no label set 'other'"):
        plan(tmp_path, name, second="other")
    (tmp_path / "shards/000001.parquet").unlink()
    with pytest.raises(StorageError, match=r"1 labelled shard cannot be found.*000001\.parquet"):
        plan(tmp_path, name)
    for file in (tmp_path / f"labels/{name}").glob("*.parquet"):
        file.unlink()
    with pytest.raises(ConfigError, match=r"holds no labels yet; run jobs/pseudolabel\.py"):
        plan(tmp_path, name)


def test_a_second_opinion_must_be_whole(tmp_path):
    first, second = dataset(tmp_path, num_shards=2), dataset(tmp_path, num_shards=2, labeler="lucas-kanade")
    assert plan(tmp_path, first, second=second).settings.second == second
    (tmp_path / f"labels/{second}/000000.parquet").unlink()
    with pytest.raises(ConfigError, match="lacks 1 of 2 shards"):
        plan(tmp_path, first, second=second)


def test_half_a_screen_is_refused(tmp_path):
    name = dataset(tmp_path)
    claim_rules(str(tmp_path), ScreenRules())
    with pytest.raises(ConfigError, match=r"not screened yet.*jobs/audit\.py screen"):
        plan(tmp_path, name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cycle": "twice"}, "--cycle is 'twice'"),
        ({"name": "../elsewhere"}, "--name"),
        ({"name": ""}, "--name"),
        ({"checkpoint": "w.pth"}, "--checkpoint is for --cycle retrack"),
        ({"cycle": "retrack", "checkpoint": "w.pth"}, "has none; leave it away"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, options, message):
    name = dataset(tmp_path)
    with pytest.raises(ConfigError, match=message):
        plan(tmp_path, name, **options)
    with pytest.raises(ConfigError, match="second opinion must come from another"):
        plan(tmp_path, name, second=name)


def test_a_calibration_must_be_of_these_labels(tmp_path):
    name, uri = dataset(tmp_path), str(tmp_path / "calibration.json")
    write_calibration(uri, record())
    made = plan(tmp_path, name, calibration=uri)
    assert made.settings.calibration == record().calibration
    assert (made.audit.weights, made.calibration.warnings) == ("test-1", ())
    assert made.audit.calibration["labeler"] == "dis-flow"
    refused = {"labeler": "lucas-kanade", "checkpoint_sha256": "ab" * 32, "measures": "tracks-0"}
    for field, value in refused.items():
        write_calibration(uri, record(**{field: value}))
        with pytest.raises(ConfigError, match="fit it again|fitted on this labeler"):
            plan(tmp_path, name, calibration=uri)
    for field, value, words in (("options", {"preset": "other"}, "preset=other"), ("precision", "bfloat16", "bfloat16")):
        write_calibration(uri, record(**{field: value}))
        (warning,) = plan(tmp_path, name, calibration=uri).calibration.warnings
        assert words in warning
    with pytest.raises(StorageError, match=r"nowhere\.json"):
        plan(tmp_path, name, calibration=str(tmp_path / "nowhere.json"))


def test_the_labeler_is_made_as_it_was(tmp_path):
    made = LabelSet(**DIS_FLOW)
    assert labeler_of(made, None).provenance().name == "dis-flow"
    with pytest.raises(ConfigError, match=r"labeler by-hand of this label set is not one of.*--cycle"):
        plan(tmp_path, dataset(tmp_path, labeler="by-hand"), cycle="retrack")
    changed = {"options": {**DIS_FLOW["configuration"]["options"], "round_trip_px": 2.5}}
    assert labeler_of(replace(made, configuration=changed), None).provenance().options["round_trip_px"] == 2.5
    with pytest.raises(ConfigError, match="no option"):
        labeler_of(replace(made, configuration={"options": {"of_old": 1}}), None)
    with pytest.raises(ConfigError, match=r"needs the weights.*somewhere\.pth"):
        labeler_of(replace(made, labeler="cotracker3-offline", checkpoint="somewhere.pth", checkpoint_sha256="ab" * 32), None)


def test_an_audit_that_was_made_otherwise_is_not_continued(tmp_path):
    from pipeline.audit.stored.audit_set import claim_audit
    from tests.audited_clips import write_audit_shard

    name = dataset(tmp_path, num_shards=2)
    made = plan(tmp_path, name)
    claim_audit(str(tmp_path), made.audit)
    write_audit_shard(str(tmp_path), name, 0, [])
    assert plan(tmp_path, name).missing == (1,)
    other = plan(tmp_path, name, cycle="stored")
    with pytest.raises(ConfigError, match="cycle differ"):
        claim_audit(str(tmp_path), other.audit)
    assert Layout(str(tmp_path)).audit_json(name).endswith("audit.json")
