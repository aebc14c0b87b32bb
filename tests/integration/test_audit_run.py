"""jobs/audit.py run as a user runs it: killed and resumed the bytes are the same; the gate's word is the exit code."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from jobs.audit import app as audit_app
from jobs.pseudolabel import app as label_app
from jobs.shard import app as shard_app
from pipeline.labels import LabelRow, read_label_shard, write_label_shard
from pipeline.shards.index import read_index
from tests.conftest import write_video

KILLED, GATE, TOO_MANY_ERRORS, BAD_USAGE = 137, 4, 3, 2
HOSTILE = "<img src=x onerror=alert(1)>.mp4"


def moving(seed: int, num_frames: int = 16) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((96 + num_frames, 128 + 2 * num_frames, 3))
    noise = cv2.GaussianBlur(noise, (0, 0), 3.0)
    scene = np.clip(120 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)
    return np.stack([scene[t : t + 96, 2 * t : 2 * t + 128] for t in range(num_frames)])


def run(app, *arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, f"{done.output}\n{done.exception!r}"
    return done


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> tuple[Path, str]:
    """(root, label set): four clips in two shards."""
    folder = tmp_path_factory.mktemp("audited")
    for seed, name in enumerate((HOSTILE, "a.mp4", "b.mp4", "c.mp4")):
        write_video(folder / name, moving(seed))
    root = folder / "root"
    run(shard_app, folder, "--root", root, "--clip-frames", 16, "--clips-per-shard", 2, "--executor", "inline", "--license", "<b>CC0</b>")
    done = run(label_app, "--root", root, "--labeler", "dis-flow", "--queries", 100, "--executor", "inline")
    return root, done.output.splitlines()[-1]


def copied(labelled: tuple[Path, str], to: Path) -> tuple[Path, str]:
    root, labels = labelled
    shutil.copytree(root, to)
    return to, labels


def test_a_killed_audit_ends_with_the_same_bytes(labelled, tmp_path, run_job, published):
    root, labels = copied(labelled, tmp_path / "root")
    command = ("run", "--root", root, "--labels", labels, "--calibration", "none", "--executor", "inline")
    before = published(root)
    dry = run(audit_app, *command, "--dry-run")
    assert "4 clips in 2 shards" in dry.output
    assert published(root) == before
    run_job("audit.py", *command, through=("before publishing", "3"), code=KILLED)
    assert len(list((root / "audit" / labels).glob("*.parquet"))) == 1
    resumed = run(audit_app, *command)
    assert "1 shard done before" in resumed.output
    assert "fallback" in resumed.stderr
    found = published(root / "audit")
    shutil.rmtree(root / "audit")
    run(audit_app, *command)
    assert published(root / "audit") == found
    assert {Path(name).name for name in found} == {
        "audit.json", "000000.parquet", "000001.parquet", "clips.parquet", "shards.parquet", "summary.json", "report.html",
    }  # fmt: skip
    page = (root / "audit" / labels / "report.html").read_text()
    assert "<img src=x" not in page
    assert "<b>CC0</b>" not in page
    verdicts = duckdb.sql(f"select verdict, license, mean_weight > 0.5 from '{root}/audit/{labels}/clips.parquet'").fetchall()
    assert verdicts == [("keep", "<b>CC0</b>", True)] * 4


def test_one_contradiction_closes_the_gate(labelled, tmp_path):
    root, labels = copied(labelled, tmp_path / "root")
    key = read_index(str(root), 0)[0].key
    shard = read_label_shard(str(root), labels, 0)
    rows = []
    for each in shard.entries.values():
        sha256 = "ab" * 32 if each.key == key else each.clip_sha256
        facts = {"num_frames": each.num_frames, "width": each.width, "height": each.height}
        rows.append(LabelRow(key=each.key, status="ok", labels=shard.labels(each.key), clip_sha256=sha256, **facts))
    write_label_shard(str(root), labels, shard=0, rows=rows)
    command = ("run", "--root", root, "--labels", labels, "--calibration", "none", "--executor", "inline")
    closed = run(audit_app, *command, code=GATE)
    assert "no clip is in error; found 25.0% (1 of 4)" in closed.stderr
    assert "labelled on another video" in closed.stderr
    assert json.loads((root / "audit" / labels / "summary.json").read_text())["gate"]["passes"] is False
    assert "more than --max-error-rate" in run(audit_app, *command, "--no-gate", code=TOO_MANY_ERRORS).stderr
    run(audit_app, *command, "--no-gate", "--max-error-rate", "0.5")


def test_low_coverage_closes_the_gate_and_names_its_remedy(labelled, tmp_path):
    root, labels = copied(labelled, tmp_path / "root")
    shard = read_label_shard(str(root), labels, 0)
    rows = []
    for each in shard.entries.values():  # all tracks into a corner
        found = shard.labels(each.key)
        crowded = replace(found, queries=found.queries * np.float32([1, 0.25, 0.25]), tracks_px=found.tracks_px * np.float32(0.25))
        facts = {"num_frames": each.num_frames, "width": each.width, "height": each.height, "clip_sha256": each.clip_sha256}
        rows.append(LabelRow(key=each.key, status="ok", labels=crowded, **facts))
    write_label_shard(str(root), labels, shard=0, rows=rows)
    closed = run(audit_app, "run", "--root", root, "--labels", labels, "--calibration", "none", "--executor", "inline", code=GATE)
    remedy = "low_coverage (2 clips): label again with --queries 200: these clips have 100 tracks"
    assert f"remedy: {remedy}" in closed.stderr
    assert remedy in " ".join(closed.stdout.replace("│", " ").split())
    assert remedy.split(": ", 1)[1] in (root / "audit" / labels / "report.html").read_text()


def test_tracks_are_followed_back_and_held_against_a_baseline(labelled, tmp_path):
    root, labels = copied(labelled, tmp_path / "root")
    common = ("run", "--root", root, "--labels", labels, "--calibration", "none", "--executor", "inline")
    run(audit_app, *common)
    run(audit_app, *common, "--name", "again", "--cycle", "retrack", "--baseline", labels)
    checks = json.loads((root / "audit" / "again" / "summary.json").read_text())["gate"]["checks"]
    (weight,) = [check for check in checks if check["rule"] == "the mean weight of a track is at most 0.05 below the baseline's"]
    assert "; the baseline's is " in weight["value"]
    cycle = duckdb.sql(f"select avg(survival_4) from '{root}/audit/again/clips.parquet'").fetchall()
    assert cycle[0][0] > 0.9
    other = run(audit_app, *common, "--name", labels, "--cycle", "retrack", code=BAD_USAGE)
    assert "made with other settings (cycle differ)" in other.stderr
    assert "there is no" in run(audit_app, *common, "--name", "more", "--baseline", "nowhere", code=BAD_USAGE).stderr
    (root / "shards/000001.parquet").unlink()
    assert "000001.parquet" in run(audit_app, *common, code=1).stderr
