"""jobs/audit.py calibrate as a user runs it: clips with truth are labelled, audited, fitted and tested; the record then weighs tracks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from jobs.audit import app as audit_app
from jobs.pseudolabel import app as pseudolabel_app
from jobs.synthesize import app as synthesize_app
from pipeline.audit.calibrating.records import read_calibration
from pipeline.audit.stored.audit_rows import iterate_audit_shard
from pipeline.audit.stored.audit_set import read_audit_set

INLINE = ("--executor", "inline")


@pytest.fixture(autouse=True)
def _one_thread():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def invoke(app, *arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result


def audited(root: Path, seed: int) -> str:
    size = ("--clip-frames", 16, "--height", 96, "--width", 128, "--queries", 120)
    invoke(synthesize_app, "--root", root, "--domain", "planes", "--num-clips", 3, "--seed", seed, *size, *INLINE)
    policy = ("--query-policy", "truth", "--queries", 120)
    name = invoke(pseudolabel_app, "--root", root, "--labeler", "lucas-kanade", *policy, *INLINE).stdout.split()[-1]
    invoke(audit_app, "run", "--root", root, "--labels", name, "--calibration", "none", "--no-gate", *INLINE)
    return name


def test_fit_test_and_weigh(tmp_path):
    name = audited(tmp_path / "fit", 1)
    assert audited(tmp_path / "test", 2) == name
    record_file = tmp_path / "lucas-kanade.json"
    halves = ("--labels", name, "--held-out", tmp_path / "test", "--out", record_file)
    printed = invoke(audit_app, "calibrate", "--root", tmp_path / "fit", *halves).stdout
    assert all(part in printed for part in ("each measure alone", "does the probability hold", "what a gate leaves", "synthetic-planes"))
    record = read_calibration(str(record_file))
    assert (record.labeler, record.cycle, record.fit.num_clips, record.held_out.suite.num_clips) == ("lucas-kanade", "none", 3, 3)
    assert record.held_out.auroc > 0.8
    written = record_file.read_bytes()
    invoke(audit_app, "calibrate", "--root", tmp_path / "fit", *halves)
    assert record_file.read_bytes() == written

    weighed = ("--labels", name, "--name", "weighed", "--calibration", record_file, "--no-gate")
    invoke(audit_app, "run", "--root", tmp_path / "test", *weighed, *INLINE)
    assert read_audit_set(str(tmp_path / "test"), "weighed").weights == record.calibration.version
    tracks = [clip.tracks for clip in iterate_audit_shard(str(tmp_path / "test"), "weighed", 0) if clip.tracks is not None]
    bad = np.concatenate([each.bad_probability for each in tracks])
    assert 0 < bad.min() < 0.2 < 0.6 < bad.max() < 1

    same = ("--root", tmp_path / "fit", "--labels", name, "--held-out", tmp_path / "fit", "--out", record_file)
    assert "given with --root and with --held-out" in invoke(audit_app, "calibrate", *same, code=2).output
    missing = ("--root", tmp_path / "fit", "--labels", "none-such", "--held-out", tmp_path / "test", "--out", record_file)
    assert "no audit 'none-such'" in invoke(audit_app, "calibrate", *missing, code=2).output
