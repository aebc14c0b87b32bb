"""The page on a calibration, and on none."""

from dataclasses import replace

import pytest

from pipeline.audit.calibrating.records import (
    CalibrationRecord,
    DomainReport,
    GateReport,
    HeldOutReport,
    MeasureReport,
    ReliabilityBin,
    SuiteHalf,
    calibration_document,
)
from pipeline.audit.calibration import Calibration
from pipeline.audit.report.limits import limits_of
from pipeline.audit.report.measures import calibration_card
from pipeline.audit.report.page import environment
from pipeline.audit.stored.audit_set import AuditSet
from tests.unit.pipeline.audit.report.audited import HOSTILE, audit_set

NAN = float("nan")


def half(name: str, num_clips: int = 44) -> SuiteHalf:
    return SuiteHalf(datasets=(name, HOSTILE), num_clips=num_clips, num_tracks=17_600, bad_share=0.28)


def measure(name: str, auroc: float) -> MeasureReport:
    return MeasureReport(
        measure=name, auroc_mean=auroc, auroc_sd=0.05, auroc_min=0.7, average_precision=0.6, precision_at_90_recall=0.4, coverage=0.97
    )


def record() -> CalibrationRecord:
    held_out = HeldOutReport(
        suite=half("wild 59aabbcc"),
        auroc=0.914,
        auroc_mean=0.897,
        brier=0.09,
        ece=0.034,
        reliability=(
            ReliabilityBin(predicted=0.1, observed=0.12, num_tracks=900),
            ReliabilityBin(predicted=NAN, observed=NAN, num_tracks=0),
        ),
        measures=(measure("visible_iou", NAN), measure("ncc_mean", 0.84), measure("neigh_max", 0.86)),
        gates=(GateReport(threshold=0.2, kept_share=0.6, bad_before=0.28, bad_after=0.05),),
        domains=(DomainReport(dataset="planes 1234abcd", num_clips=12, auroc=NAN, ece=0.05, bad_share=0.3),),
    )
    return CalibrationRecord(
        labeler="by-hand",
        checkpoint_sha256=None,
        precision="float32",
        options={"preset": "medium"},
        cycle="stored",
        measures="tracks-1",
        bad_definition="off by more than 4 px",
        calibration=Calibration(terms=(), intercept=-1.0, version="by-hand-1"),
        fit=half("wild 11aabbcc"),
        held_out=held_out,
    )


def card(audit: AuditSet) -> str:
    return environment().get_template("calibration.html").render(calibration=calibration_card(audit), calibrate_command="calibrate it")


def test_the_card_shows_fit_and_test_apart_and_measures_by_rank() -> None:
    page = card(audit_set(calibration=calibration_document(record())))
    assert page.index("wild 11aabbcc") < page.index("wild 59aabbcc")
    assert page.index("neigh_max") < page.index("ncc_mean") < page.index("visible_iou")
    assert "44 clips, 17,600 tracks, 28.0 % of them bad" in page
    assert "off by more than 4 px" in page
    assert "Not known in the test: Second opinion on visibility (visible_iou)." in page
    assert "– ±" not in page
    assert HOSTILE not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 2
    assert page.count("<circle") == 1


def test_without_a_calibration_the_card_says_what_that_means() -> None:
    page = card(audit_set(calibration=None))
    assert "This labeler has no calibration." in page
    assert "calibrate it" in page


@pytest.mark.parametrize(("num_clips", "spread"), [(5, True), (4, False)])
def test_fewer_than_five_clips_give_no_spread(num_clips: int, spread: bool) -> None:
    known = record()
    known = replace(known, held_out=replace(known.held_out, suite=half("wild 59aabbcc", num_clips)))
    page = card(audit_set(calibration=calibration_document(known)))
    assert ("±" in page) == spread
    assert ("lowest of a clip" in page) == spread
    assert ("too few clips" in page) != spread
    assert "0.86" in page  # the mean stands either way


def test_gates_of_the_test_are_lines_in_the_histogram() -> None:
    lines = limits_of("bad_probability", audit_set(calibration=calibration_document(record()), weights="by-hand-1"))
    assert [(line.value, line.meaning) for line in lines] == [(0.2, "below: 5% bad")]
