"""`trackmill adapt` as a user runs it: one video to weights of its own, gone on with where it stopped, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from jobs.adapting.videos import videos_of
from networks import build_model
from networks.weights import license_of, read_weights, save_weights, training_shape_of
from tests.integration.test_run_command import named, next_lines
from tests.unit.trainer.families.st4rtrack.test_family import TINY, seeing
from trainer.loop import read_journal

DEPTH = """
import numpy as np
from labelers import LabelerProvenance
from pipeline.records import DepthLabels

class Ramp:
    kind = "depth"

    def label(self, clips):
        return [DepthLabels(depth=np.float32(1) + clip.array()[..., 0].astype(np.float32) / 255, scale="relative") for clip in clips]

    def provenance(self):
        return LabelerProvenance(name="ramp", options={}, facts={"depth_scale": "relative"})
"""
LICENSE = "CC BY-NC-SA 4.0 (a test's)"
CLIPS = ("--labeler", "lucas-kanade", "--queries", "100", "--clip-frames", "30", "--executor", "inline")
SMALL = (
    *("--set", "data.shape.frames=[3,3]", "--set", "data.shape.pixels=[3000,3072]", "--set", "loader_workers=0"),
    *("--set", "losses.adaptation_settings.pnp_pixels=200", "--device", "cpu"),
)


@pytest.fixture
def trackmill(run_job, monkeypatch):
    """trackmill("adapt", video, "--root", root, code=0) -> what it printed."""
    monkeypatch.setattr("sys.argv", ["trackmill"])
    return lambda *words, code=0: run_job("trackmill.py", *words, code=code)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A small network whose points lie before its cameras, so that focal lengths and poses are found."""
    torch.set_num_threads(1)
    file = tmp_path_factory.mktemp("weights") / "twin.safetensors"
    save_weights(str(file), seeing(), license=LICENSE)
    return file


@pytest.fixture
def depth(tmp_path, monkeypatch) -> str:
    """A depth labeler of one's own."""
    (tmp_path / "ramp_depth.py").write_text(DEPTH)
    monkeypatch.syspath_prepend(tmp_path)
    return "ramp_depth:Ramp"


def test_a_video_becomes_weights_of_its_own_and_the_same_command_goes_on(trackmill, make_video, checkpoint, depth, tmp_path, published):
    video, root, out = make_video("walk.mp4", num_frames=60, size=(144, 192), seed=1), tmp_path / "root", tmp_path / "root-adapted"
    command = ("adapt", video, "--root", root, "--checkpoint", checkpoint, *CLIPS, *SMALL, "--steps", 4, "--infer-frames", 3)
    command += ("--depth-labeler", depth, "--adapt", "all", "--set", "checkpoints.every_steps=2")
    command += ("--set", "logs.tensorboard=false")  # every process writes a file of its own
    done = trackmill(*command)
    said = [line.split(":")[0] for line in done.stderr.splitlines() if line[1:3] == "/8"]
    assert [line.split()[1] for line in said] == ["cut", "screen", "label", "audit", "contact", "depth", "train", "infer"]
    assert named(done.stdout, "clips").startswith("keep 2 (audit lucas-kanade-")
    assert named(done.stdout, "depth").startswith("ramp-")
    assert "->" in named(done.stdout, "loss")
    terms = [row["terms"] for row in read_journal(str(out))]
    assert all(each[f"adaptation/{name}"] > 0 for each in terms for name in ("trajectory", "depth", "alignment"))
    assert all(each["adaptation/failed_poses"] == 0 for each in terms)
    assert [line[1] for line in next_lines(done.stdout)] == ["show", "infer"]
    weights = out / "checkpoints/00000004.safetensors"
    adapted = read_weights(str(weights))
    assert license_of(adapted) == LICENSE == named(done.stdout, "licence")
    assert training_shape_of(adapted).aspect == (192 / 144, 192 / 144)
    before = read_weights(str(checkpoint)).tensors
    moved = {name.split(".")[0] for name, tensor in adapted.tensors.items() if not torch.equal(tensor, before[name])}
    assert {"dec_blocks", "dec_blocks2", "downstream_head1"} <= moved
    assert not moved & {"patch_embed", "enc_blocks"}
    (result,) = (out / "inferred").iterdir()
    inference = json.loads((result / "inference.json").read_text())
    assert (inference["source"], inference["frames"]["count"], inference["frames"]["at_once"]) == ("walk.mp4", 3, 3)
    assert (inference["checkpoint"]["sha256"], inference["checkpoint"]["license"]) == (adapted.sha256, LICENSE)
    assert "reconstruction" not in inference

    whole = published(tmp_path)
    for lost in ("00000004.json", "00000004.safetensors", "00000004.optimiser.safetensors"):  # as if killed in the third step
        (out / "checkpoints" / lost).unlink()
    (out / "losses/00000004.jsonl").unlink()
    shutil.rmtree(result)
    done = trackmill(*command)
    assert "4 steps, resumed from 2" in named(done.stdout, "adapted")
    losses = "root-adapted/losses/00000004.jsonl"  # holds times
    assert {**published(tmp_path), losses: ""} == {**whole, losses: ""}
    stamps = {path: path.stat().st_mtime_ns for path in result.iterdir()}
    done = trackmill(*command)
    assert "done before" in named(done.stdout, "inferred")
    assert {path: path.stat().st_mtime_ns for path in result.iterdir()} == stamps

    other = make_video("other.mp4", num_frames=30, size=(144, 192), seed=2)
    done = trackmill("adapt", other, *command[2:], code=2)
    assert "adapted to 2 clips" in done.stderr
    assert "now keeps 3" in done.stderr
    assert [video.name.split("-")[0] for video in videos_of(str(root))] == ["walk", "other"]
    assert [video.uri for video in videos_of(str(root), [str(other)])] == [str(other), str(video)]
    audit = next(path.name for path in (root / "audit").iterdir())
    only_tracks(trackmill, root, audit, checkpoint, tmp_path)


def only_tracks(trackmill, root: Path, audit: str, checkpoint: Path, tmp_path: Path) -> None:
    """Where the reconstruction is held, depth labels change no weight: one may do without."""
    command = ("adapt", "--root", root, "--audit", audit, "--checkpoint", checkpoint, *SMALL, "--steps", 2, "--infer-videos", 0)
    depth = next(path.name for path in (root / "labels").iterdir() if path.name.startswith("ramp-"))
    shown = ("--infer-videos", 1, "--infer-frames", 3)
    done = trackmill(*command, *shown, "--out", tmp_path / "with", "--depth-labels", depth, "--executor", "inline")
    inference = json.loads(next((tmp_path / "with/inferred").glob("*/inference.json")).read_text())
    assert inference["reconstruction"]["sha256"] == read_weights(str(checkpoint)).sha256  # held in the results too
    assert f"--reconstruction {checkpoint}" in done.stdout
    done = trackmill(*command, "--out", tmp_path / "without", "--executor", "inline")
    assert named(done.stdout, "depth").startswith("none: the reconstruction is held")
    found = [read_weights(str(tmp_path / name / "checkpoints/00000002.safetensors")).tensors for name in ("with", "without")]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    terms = [read_journal(str(tmp_path / name))[-1]["terms"] for name in ("with", "without")]
    assert terms[0]["adaptation/trajectory"] == terms[1]["adaptation/trajectory"] > 0
    assert terms[0]["adaptation/depth"] > 0 == terms[1].get("adaptation/depth", 0)


def test_no_label_is_made_for_weights_labelers_and_stages_that_cannot_be_used(trackmill, make_video, checkpoint, tmp_path):
    video, root = make_video(num_frames=30), tmp_path / "root"
    linear = tmp_path / "linear.pth"
    torch.save(build_model("dust3r", {**TINY, "head_type": "linear"}).state_dict(), linear)
    for changes, said in [
        (("--checkpoint", linear), "It holds weights of dust3r with linear heads"),
        (("--checkpoint", checkpoint, "--adapt", "all"), "give --depth-labeler, or --depth-labels"),
        (("--checkpoint", checkpoint, "--depth-labeler", "lucas-kanade"), "--depth-labeler lucas-kanade makes tracks, expected depth"),
        (("--checkpoint", checkpoint, "--set", "frozen=[nose]"), "the network has no part 'nose'"),
    ]:
        done = trackmill("adapt", video, "--root", root, *CLIPS, *SMALL, *changes, code=2)
        assert said in done.stderr
        assert not root.exists()
    done = trackmill("adapt", "--root", root, "--checkpoint", checkpoint, "--executor", "inline", code=2)
    assert "holds no clips; name the VIDEO" in done.stderr


def test_a_video_of_one_frame_and_tracks_that_nobody_trusts_end_it_with_a_word(trackmill, make_video, checkpoint, tmp_path):
    short = make_video("short.mp4", num_frames=1)
    done = trackmill("adapt", short, "--root", tmp_path / "short", "--checkpoint", checkpoint, *CLIPS, *SMALL, code=3)
    assert "no clip could be cut" in done.stderr
    still, root = make_video("still.mp4", num_frames=30, size=(144, 192)), tmp_path / "still"
    command = (
        "adapt",
        still,
        "--root",
        root,
        "--checkpoint",
        checkpoint,
        *CLIPS,
        *SMALL,
        "--queries",
        40,
    )  # 64 usable tracks are the least
    done = trackmill(*command, code=4)
    assert named(done.stdout, "worst reason").startswith("few_tracks, 1 clip: ")
    assert not (tmp_path / "still-adapted").exists()
    done = trackmill(*command, "--no-gate", code=2)
    assert "none of the 1 planned clips can be delivered (1 " in done.stderr
    assert not (tmp_path / "still-adapted/checkpoints").exists()


def test_a_dry_run_tries_weights_and_stage_and_writes_nothing(trackmill, make_video, checkpoint, tmp_path):
    video = make_video(num_frames=60)
    done = trackmill("adapt", video, "--root", tmp_path / "root", "--checkpoint", checkpoint, *CLIPS, *SMALL, "--dry-run")
    assert named(done.stdout, "clips") == "2, 60 frames in all, in 1 shard"
    assert named(done.stdout, "adapt").endswith(f"licence {LICENSE}")
    assert named(done.stdout, "train") == "1,312 steps on windows of 3 to 3 frames, float32"
    assert not (tmp_path / "root").exists()
    assert not (tmp_path / "root-adapted").exists()
