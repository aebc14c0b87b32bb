import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.calibrating.calibrate import calibrate
from pipeline.audit.calibrating.fit import TermPlan
from pipeline.audit.calibrating.gather import AuditedDataset
from pipeline.audit.calibrating.records import calibration_document, read_calibration, write_calibration
from pipeline.audit.calibrating.samples import samples_of, track_errors
from pipeline.audit.calibrating.shipped import mismatch, shipped_calibration, shipped_calibrations
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.tracks.measure import MEASURES_VERSION
from pipeline.errors import ConfigError, DataError, FormatError
from pipeline.records import LabelSet, TrackLabels, TrackTruth

PLAN = TermPlan(measures={"ncc_mean": "one-minus", "neigh_max": "log"}, num_knots=2)
LABELS = LabelSet(labeler="dis-flow", configuration={"options": {"blur_px": 0.8, "preset": "medium"}, "queries": {"policy": "truth"}})
AUDIT = AuditSet(
    name="a",
    label_set=LABELS.name,
    labeler="dis-flow",
    checkpoint_sha256=None,
    measures="tracks-1",
    weights="fallback-1",
    rules={},
    screen=None,
    calibration=None,
    cycle="none",
)


@pytest.fixture(scope="module")
def dataset(draw):
    def make(seed, name, *, labels=LABELS, audit=AUDIT, **options):
        return AuditedDataset(audit=audit, label_set=labels, samples=draw(seed, name=name, **options))

    return make


@pytest.fixture(scope="module")
def record(dataset):
    return calibrate([dataset(0, "wild 1"), dataset(1, "studio 1")], [dataset(2, "wild 2")], PLAN)


def test_a_record_says_what_it_was_fitted_and_tested_on(record):
    assert (record.labeler, record.options, record.cycle) == ("dis-flow", {"blur_px": 0.8, "preset": "medium"}, "none")
    assert record.fit.datasets == ("wild 1", "studio 1")
    assert (record.fit.num_clips, record.fit.num_tracks) == (12, 6000)
    assert record.held_out.suite.datasets == ("wild 2",)
    assert record.calibration.version.startswith("dis-flow-")
    assert "farther than 4 px" in record.bad_definition


def test_a_record_comes_back_from_its_file_as_it_was(record, tmp_path):
    path = str(tmp_path / "dis-flow.json")
    write_calibration(path, record)
    assert "NaN" not in (tmp_path / "dis-flow.json").read_text()
    again = read_calibration(path)
    assert again.calibration == record.calibration
    assert calibration_document(again) == calibration_document(record)
    assert np.isnan({each.measure: each for each in again.held_out.measures}["fb_cycle"].auroc_mean)
    write_calibration(str(tmp_path / "twice.json"), again)
    assert (tmp_path / "twice.json").read_bytes() == (tmp_path / "dis-flow.json").read_bytes()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: d.pop("calibration"), DataError, r"r\.json: not a calibration \(KeyError"),
        (lambda d: d["held_out"].update(gates=[{"threshold": 1}]), DataError, "not a calibration"),
        (lambda d: d["calibration"]["terms"][0].update(measure="colour"), ConfigError, r"r\.json: .*no measure 'colour'"),
        (lambda d: d["calibration"]["terms"][0].update(knots=[1.0, 0.0]), ConfigError, "ascending"),
        (lambda d: d.update(schema_version=99), FormatError, "99"),
    ],
)
def test_a_damaged_record_is_refused_with_its_name(record, tmp_path, change, error, message):
    write_calibration(str(tmp_path / "r.json"), record)
    document = json.loads((tmp_path / "r.json").read_text())
    change(document)
    (tmp_path / "r.json").write_text(json.dumps(document))
    with pytest.raises(error, match=message):
        read_calibration(str(tmp_path / "r.json"))


def test_halves_that_share_a_dataset_are_refused(dataset):
    with pytest.raises(ConfigError, match="wild 1 is in both halves"):
        calibrate([dataset(0, "wild 1")], [dataset(1, "wild 1")], PLAN)


def test_too_few_bad_tracks_are_refused(dataset):
    few = dataset(1, "wild 2", num_clips=1, per_clip=60)
    with pytest.raises(ConfigError, match=r"--held-out have \d+ bad and \d+ good tracks, expected at least 50"):
        calibrate([dataset(0, "wild 1")], [few], PLAN)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"labels": replace(LABELS, labeler="lucas-kanade")}, "differ in labeler: dis-flow and lucas-kanade"),
        ({"labels": replace(LABELS, configuration={"options": {"blur_px": 0.0}})}, "differ in options"),
        ({"labels": replace(LABELS, checkpoint_sha256="ab")}, "differ in checkpoint"),
        ({"audit": replace(AUDIT, cycle="stored")}, "differ in cycle: none and stored"),
        ({"audit": replace(AUDIT, measures="tracks-0")}, "differ in version of the measures"),
        ({"audit": replace(AUDIT, second="other")}, "differ in second label set"),
    ],
)
def test_audits_of_other_labels_are_refused(dataset, other, message):
    with pytest.raises(ConfigError, match=message):
        calibrate([dataset(0, "wild 1")], [dataset(1, "wild 2", **other)], PLAN)


def test_datasets_are_joined_clip_by_clip(draw):
    joined = samples_of([draw(0, name="a", num_clips=2, per_clip=3), draw(1, name="b", num_clips=1, per_clip=4)])
    assert joined.clip.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert joined.dataset.tolist() == [0] * 6 + [1] * 4
    assert joined.datasets == ("a", "b")


def test_errors_are_of_frames_that_both_see():
    labels = TrackLabels(
        queries=np.float32([[0, 10, 10], [0, 20, 20]]),
        tracks_px=np.float32([[[10, 10], [20, 20]], [[13, 10], [20, 20]], [[10, 90], [20, 20]]]),
        visibility=np.array([[True, True], [True, False], [True, False]]),
    )
    truth = TrackTruth(
        tracks_px=np.float32([[[10, 10], [20, 20]]] * 3),
        visibility=np.array([[True, True], [True, True], [False, True]]),
        track_valid=np.ones((3, 2), bool),
        query_frame=np.zeros(2, np.int32),
    )
    largest, median = track_errors(labels, truth, height=128, width=128)
    np.testing.assert_allclose(largest, [6, np.nan])  # 3 px of 128 are 6 of the raster; the hidden 80 px do not count
    np.testing.assert_allclose(median, [6, np.nan])


def test_every_shipped_record_is_found_for_its_labels():
    for record in shipped_calibrations():
        assert record.measures == MEASURES_VERSION, f"{record.labeler}: fitted on other measures; run benchmarks/audit_calibration.py"
        label_set = LabelSet(
            labeler=record.labeler, configuration={"options": dict(record.options)}, checkpoint_sha256=record.checkpoint_sha256
        )
        assert shipped_calibration(label_set, record.cycle) is not None
        assert shipped_calibration(replace(label_set, labeler="cotracker3-offline"), record.cycle) is None


def test_what_keeps_a_calibration_from_holding_is_said(record):
    assert mismatch(record, LABELS, "none") is None
    assert "lucas-kanade" in mismatch(record, replace(LABELS, labeler="lucas-kanade"), "none")
    assert "blur_px=0.8" in mismatch(record, replace(LABELS, configuration={"options": {"blur_px": 0.5, "preset": "medium"}}), "none")
    assert "float16" in mismatch(record, replace(LABELS, precision="float16"), "none")
    with_cycle = replace(record, calibration=replace(record.calibration, terms=(replace(record.calibration.terms[0], measure="fb_cycle"),)))
    assert mismatch(record, LABELS, "stored") is None  # no term asks for the way back
    assert "without the way back" in mismatch(replace(with_cycle, cycle="stored"), LABELS, "none")
    assert mismatch(replace(with_cycle, cycle="stored"), LABELS, "retrack") is None
