"""Label sets of cameras, flow and tracks in space through the job, in this process."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from jobs.evaluate import app
from jobs.evaluating.job import measured_kind
from pipeline.errors import ConfigError
from pipeline.labels import write_label_set
from pipeline.records import FlowLabels, LabelSet
from tests.filmed_points import SIZE
from tests.refined_dataset import CAMERAS, DEPTH, TRACKS, clips, write_labels, write_root

TURNED = LabelSet(labeler="turned", configuration={}, kind="cameras")


@pytest.fixture(scope="module", name="root")
def _root(tmp_path_factory) -> str:
    """Clips whose own cameras are those of the set CAMERAS; another set has two clips with the last camera turned, in one not found."""
    root = tmp_path_factory.mktemp("scores") / "root"
    write_root(root)
    found = {}
    for key in ("plain", "movers"):
        cameras = clips()[key].cameras
        poses = cameras.camera_to_world.copy()
        poses[-1, :3, :3] @= Rotation.from_rotvec([0, 0, math.radians(7)]).as_matrix().astype(np.float32)
        found[key] = replace(cameras, camera_to_world=poses, pose_valid=np.arange(8) < 7 if key == "plain" else cameras.pose_valid)
    write_labels(root, TURNED, found)
    return str(root)


def run(*arguments: object, code: int = 0):
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done


def test_cameras_are_compared_side_by_side_on_the_clips_that_all_sets_have(root, tmp_path):
    sets = ("--labels", CAMERAS.name, "--labels", TURNED.name)
    done = run("labels", "--root", root, *sets, "--out", tmp_path / "report")
    for text in ("ATE", "RPE-r", "labelled", f"{TURNED.name} minus", "2 of 6", "come from another method"):
        assert text in done.stdout
    assert "AbsRel" not in done.stdout
    document = json.loads((tmp_path / "report/label_scores.json").read_text())
    first, second = document["label_sets"]
    assert first["label_set"]["name"] == CAMERAS.name
    assert first["label_set"]["provenance"]["labeler"] == "by-hand"
    assert [[clip["key"] for clip in one["clips"]] for one in (first, second)] == [["plain", "movers"]] * 2
    assert document["left_out"] == {f"{TURNED.name}: failed": 3}
    assert first["mean"]["ate"] == pytest.approx(0, abs=1e-5)
    plain, movers = (clip["values"] for clip in second["clips"])
    assert (plain["labelled_poses"], movers["labelled_poses"]) == (7 / 8, 1)
    assert plain["rpe_rot_deg"] == pytest.approx(0, abs=1e-2)  # the turned frame is the one that was not found
    assert movers["rpe_rot_deg"] == pytest.approx(7 / math.sqrt(7), abs=1e-2)  # the last of seven steps
    assert str(root) not in json.dumps(document)


def test_results_of_shards_are_kept(root, tmp_path, monkeypatch):
    asked = ("labels", "--root", root, "--labels", CAMERAS.name, "--out", tmp_path / "report")
    run(*asked)
    before = (tmp_path / "report/label_scores.json").read_bytes()
    monkeypatch.setattr("jobs.evaluating.subjects.measure_labels", None)  # nothing is left to be measured
    run(*asked)
    assert (tmp_path / "report/label_scores.json").read_bytes() == before


def test_labels_whose_truth_is_not_known_are_bad_usage_that_says_so(root):
    still = LabelSet(labeler="still", configuration={}, kind="flow")
    frames = np.arange(8, dtype=np.int32)
    labels = FlowLabels(
        flow=np.zeros((8, *SIZE, 2), np.float32), valid=np.zeros((8, *SIZE), bool), from_frame=frames, to_frame=frames[::-1].copy()
    )
    write_labels(root, still, {"plain": labels})
    done = run("labels", "--root", root, "--labels", still.name, code=2)
    assert f"1 no true flow and no true tracks, 4 {still.name}: failed" in " ".join(done.stderr.split())


def test_sets_are_measured_as_the_kind_that_all_of_them_are(root):
    space = LabelSet(labeler="space", configuration={}, kind="tracks3d")
    write_label_set(root, space)
    assert measured_kind(root, [space.name], None) == "tracks3d"
    assert measured_kind(root, [space.name, TRACKS.name], None) == measured_kind(root, [space.name], "tracks") == "tracks"
    assert measured_kind(root, [CAMERAS.name], None) == "cameras"
    with pytest.raises(ConfigError, match="label sets of several kinds cannot be compared"):
        measured_kind(root, [CAMERAS.name, TRACKS.name], None)
    with pytest.raises(ConfigError, match="no truth is compared with .* of depth"):
        measured_kind(root, [DEPTH.name], None)
    with pytest.raises(ConfigError, match="holds tracks, where tracks3d are asked for"):
        measured_kind(root, [TRACKS.name], "tracks3d")
