"""jobs/infer.py and jobs/evaluate.py model as a user runs them, with a fresh tiny network on rendered clips."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from jobs.evaluate import app as evaluate_app
from jobs.infer import app as infer_app
from jobs.synthesize import app as synthesize_app
from networks import build_model
from networks.weights import save_weights
from pipeline.shards.index import read_index, read_video
from tests.tiny_network import TINY
from trainer.inference import predict

NUM_FRAMES = 6


def run(app, *arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, (done.output, done.stderr, done.exception)
    return done


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """Two rendered clips with truth, one of them as a video too, and two checkpoints."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    sizes = ("--clip-frames", NUM_FRAMES, "--height", 84, "--width", 112, "--queries", 32)
    run(synthesize_app, "--root", folder / "root", "--domain", "wild", "--num-clips", 2, *sizes, "--executor", "inline")
    entry = read_index(str(folder / "root"), 0)[0]
    video = read_video(str(folder / "root"), entry)
    assert isinstance(video, bytes)
    (folder / "walk.mp4").write_bytes(video)
    for name in ("trajvg", "pi3"):
        save_weights(str(folder / f"{name}.safetensors"), build_model(name, TINY))
    return folder


def test_a_video_becomes_the_public_scripts_arrays_a_cloud_and_poses(work):
    arguments = (work / "walk.mp4", "--checkpoint", work / "trajvg.safetensors", "--out", work / "out", "--pixels", 10_000, "--limit", 5)
    done = run(infer_app, *arguments, "--device", "cpu")
    assert "the input goes on" in done.stdout
    assert "the published ones of trajvg" in done.stdout
    with np.load(work / "out/predictions.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    assert sorted(arrays) == ["colors", "extrinsics", "trajectories", "visibility", "world_points"]
    assert arrays["world_points"].shape == arrays["colors"].shape == (5, 84 * 112, 3)
    assert arrays["trajectories"].shape == (5, 24, 3)  # 20 pixels apart: 4 rows of 6
    poses = np.loadtxt(work / "out/poses.txt")
    np.testing.assert_allclose(poses[:, 1:4], arrays["extrinsics"][:, :3, 3], rtol=1e-6)
    np.testing.assert_allclose(np.diff(poses[:, 0]), poses[1, 0], atol=1e-3)
    assert cv2.imread(str(work / "out/preview.png")) is not None
    document = json.loads((work / "out/inference.json").read_text())
    assert document["checkpoint"]["model"] == "trajvg"
    assert document["frames"]["at_once"] == 64
    assert document["joints"] == []
    assert "cameras_not_found" not in document  # TrajVG says where its cameras are
    assert str(work) not in (work / "out/inference.json").read_text()


def test_a_video_longer_than_a_window_is_joined(work):
    checkpoint = ("--checkpoint", work / "trajvg.safetensors", "--pixels", 10_000, "--device", "cpu")
    done = run(infer_app, work / "walk.mp4", *checkpoint, "--out", work / "joined", "--frames", 3)
    assert "4 of 3 frames, neighbours share 2" in done.stdout
    run(infer_app, work / "walk.mp4", *checkpoint, "--out", work / "begin", "--limit", 3)
    with np.load(work / "joined/predictions.npz") as whole, np.load(work / "begin/predictions.npz") as begin:
        for name in ("world_points", "extrinsics", "colors"):
            np.testing.assert_array_equal(whole[name][:3], begin[name])  # the first window is left as it is
        np.testing.assert_array_equal(whole["trajectories"][:3, :24], begin["trajectories"])
        assert whole["trajectories"].shape == (NUM_FRAMES, 4 * 24, 3)
        poses = whole["extrinsics"].astype(np.float64)
        local = np.einsum("tji,tpj->tpi", poses[:, :3, :3], whole["world_points"] - poses[:, None, :3, 3])
        assert (local[..., 2] > 0).all()  # cameras went where their points did
    joints = json.loads((work / "joined/inference.json").read_text())["joints"]
    assert [(joint["first_frame"], joint["num_frames"]) for joint in joints] == [(1, 2), (2, 2), (3, 2)]
    assert all(0 < joint["points_that_count"] <= 1 and joint["scale"] > 0 for joint in joints)
    assert len(np.loadtxt(work / "joined/poses.txt")) == NUM_FRAMES


def test_frames_whose_camera_is_not_found_are_named_wherever_poses_are(work):
    sizes = {"enc_embed_dim": 16, "enc_depth": 1, "enc_num_heads": 1, "dec_embed_dim": 16, "dec_depth": 4, "dec_num_heads": 1}
    twin = build_model("st4rtrack", {**sizes, "dpt_feature_dim": 8, "dpt_last_dim": 8, "dpt_layer_dims": [8, 8, 8, 8]})
    with torch.no_grad():  # all points at the first camera: no focal length explains them
        twin.downstream_head1.dpt.head[-1].weight.zero_()
        twin.downstream_head1.dpt.head[-1].bias.zero_()
    save_weights(str(work / "twin.safetensors"), twin)
    arguments = ("--checkpoint", work / "twin.safetensors", "--out", work / "lost", "--pixels", 2000, "--limit", 3, "--device", "cpu")
    done = run(infer_app, work / "walk.mp4", *arguments)
    assert "not found for 3 frames (0, 1, 2)" in " ".join(done.stdout.replace("│", " ").split())
    assert json.loads((work / "lost/inference.json").read_text())["cameras_not_found"] == [0, 1, 2]
    assert (work / "lost/poses.txt").read_text().count("camera not found") == 3


def test_a_stopped_inference_leaves_nothing_behind(work, tmp_path, monkeypatch):
    windows = iter(range(2))

    def predict_once(*arguments, **options):
        if next(windows):
            raise KeyboardInterrupt
        return predict(*arguments, **options)

    monkeypatch.setattr("jobs.inferring.job.predict", predict_once)
    arguments = (
        work / "walk.mp4",
        "--checkpoint",
        work / "trajvg.safetensors",
        "--out",
        tmp_path / "out",
        "--pixels",
        10_000,
        "--frames",
        3,
    )
    assert CliRunner().invoke(infer_app, [str(each) for each in arguments]).exit_code != 0
    assert list((tmp_path / "out").rglob("*")) == []


def test_a_folder_of_images_is_a_video_too_and_pi3_tracks_nothing(work):
    folder = work / "images"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((70, 84, 3), 60 * number, np.uint8))
    arguments = ("--checkpoint", work / "pi3.safetensors", "--out", work / "pi3", "--pixels", 6_000)
    done = run(infer_app, folder, *arguments)
    assert "pi3 tracks nothing" in done.stdout
    assert np.loadtxt(work / "pi3/poses.txt")[:, 0].tolist() == [0, 1, 2]
    cv2.imwrite(str(folder / "3.png"), np.zeros((84, 70, 3), np.uint8))
    assert "3.png is 70x84, expected 84x70" in run(infer_app, folder, *arguments, code=1).stderr


def test_the_documented_way_from_python_runs(tmp_path, capsys):
    code = re.search(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/inference.md").read_text(), re.DOTALL)
    assert code is not None
    exec(code[1].replace('"result"', repr(str(tmp_path / "result"))), {"model": build_model("pi3", TINY)})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "first window"
    assert re.fullmatch(r"frame 2: \d+\.\d% of the depth", second)


def test_checkpoints_are_measured_side_by_side_on_the_same_clips(work):
    checkpoints = ("--checkpoint", work / "trajvg.safetensors", "--checkpoint", work / "pi3.safetensors")
    small = ("--root", work / "root", *checkpoints, "--pixels", 10_000, "--points", 1000, "--clip-frames", 4)
    done = run(evaluate_app, "model", *small, "--out", work / "report")
    for heading in ("ATE", "AbsRel", "Comp", "AJ 3D", "pi3.safetensors minus"):
        assert heading in done.stdout
    assert "too few clips for an interval (2 of 5)" in done.stdout
    text = (work / "report/model_evaluation.json").read_text()
    assert str(work) not in text
    document = json.loads(text)
    first, second = document["checkpoints"]
    assert document["differences_from_first"][0]["ate"]["interval_95"] == [None, None]
    assert [clip["key"] for clip in first["clips"]] == [clip["key"] for clip in second["clips"]]
    assert document["num_clips"] == {"looked_at": 2, "measured": 2, "unreadable": 0}
    assert first["mean"]["ate"] > 0
    assert first["clips"][0]["num_tracks"] > 0
    assert second["mean"]["average_jaccard_3d"] is None
    assert second["clips"][0]["undefined"]["average_jaccard_3d"] == "the model tracks nothing"
    only = run(evaluate_app, "model", *small, "--protocol", "poses", "--out", work / "poses")
    assert "AbsRel" not in only.stdout
    poses = json.loads((work / "poses/model_evaluation.json").read_text())["checkpoints"][0]
    assert poses["mean"]["ate"] == first["mean"]["ate"]
    assert poses["clips"][0]["undefined"]["abs_rel_scale"] == "not asked for"


@pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=pytest.mark.soak)])
def test_an_evaluation_does_what_is_missing_and_ends_with_the_same_bytes(work, monkeypatch, executor):
    checkpoint = ("--checkpoint", work / "pi3.safetensors", "--device", "cpu")
    small = ("--root", work / "root", *checkpoint, "--pixels", 6_000, "--points", 1000, "--clip-frames", 4, "--protocol", "poses")
    run(evaluate_app, "model", *small, "--out", work / executor / "whole")
    (kept,) = (work / executor / "whole/shards").rglob("*.json")
    report = (work / executor / "whole/model_evaluation.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("jobs.evaluating.subjects.load_checkpoint", None)  # nothing is left to be measured
        run(evaluate_app, "model", *small, "--out", work / executor / "whole")
    assert (work / executor / "whole/model_evaluation.json").read_bytes() == report
    before = kept.read_bytes()
    kept.unlink()
    run(evaluate_app, "model", *small, "--out", work / executor / "whole", "--executor", executor)
    assert kept.read_bytes() == before
    assert (work / executor / "whole/model_evaluation.json").read_bytes() == report


def test_what_cannot_be_done_is_said_before_anything_is_loaded(work, tmp_path):
    checkpoint = ("--checkpoint", work / "trajvg.safetensors")
    missing = run(infer_app, tmp_path / "no.mp4", *checkpoint, "--out", tmp_path, code=2)
    assert "is not there" in missing.stderr
    assert "holds no plan" in run(evaluate_app, "model", "--root", tmp_path, *checkpoint, code=2).stderr
    twice = run(evaluate_app, "model", "--root", work / "root", *checkpoint, *checkpoint, code=2)
    assert "given twice" in twice.stderr
    (tmp_path / "notes.txt").write_text("none")
    assert "none of its 1 files is an image" in run(infer_app, tmp_path, *checkpoint, "--out", tmp_path, code=2).stderr
    assert "precision" in run(infer_app, work / "walk.mp4", *checkpoint, "--out", tmp_path, "--precision", "half", code=2).stderr
