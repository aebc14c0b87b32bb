"""CoTracker3 through jobs/pseudolabel.py, with weights by formula: they follow nothing, but everything else is as in earnest."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from pipeline.labels import read_labels
from tests.cotracker3_golden import make_filled

REPO = Path(__file__).parents[2]
SMALL = ("--option", "height=96", "--option", "width=128", "--option", "iterations=1")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for variant in ("offline", "online"):
        state = make_filled(variant).state_dict()
        torch.save(state, folder / f"{variant}.pth")
    state["corr_mlp.fc2.bias"] = state["corr_mlp.fc2.bias"] + 0.1  # another training
    torch.save({"model": {f"module.{name}": entry for name, entry in state.items()}}, folder / "online-tuned.pth")
    return folder


@pytest.fixture
def root(make_video, tmp_path, run_job):
    """Clips of 12 and 6 frames of a moving texture."""
    make_video("v/a.mp4", num_frames=18)
    run_job("shard.py", tmp_path / "v", "--root", tmp_path / "root", "--clip-frames", 12, "--executor", "inline")
    return tmp_path / "root"


def test_the_label_set_names_checkpoint_precision_and_rule_and_a_new_checkpoint_is_a_new_set(root, checkpoints, run_job, published):
    command = ("pseudolabel.py", "--root", root, "--labeler", "cotracker3-online", "--queries", 16, "--executor", "inline", *SMALL)
    first = run_job(*command, "--checkpoint", checkpoints / "online.pth").stdout.splitlines()[-1]
    document = json.loads((root / "labels" / first / "label_set.json").read_text())
    assert len(document["checkpoint_sha256"]) == 64
    assert document["precision"] == "float32"
    assert "confidence > 0.6" in document["configuration"]["visibility_rule"]
    assert "CC BY-NC 4.0" in document["license"]
    before = published(root / "labels" / first)
    second = run_job(*command, "--checkpoint", checkpoints / "online-tuned.pth").stdout.splitlines()[-1]
    assert second != first
    assert published(root / "labels" / first) == before
    old, new = (dict(read_labels(str(root), name)) for name in (first, second))
    assert old.keys() == new.keys()
    for key, labels in old.items():
        assert labels.confidence is not None
        assert labels.visibility_score is not None
        assert (labels.tracks_px != new[key].tracks_px).any()


@pytest.mark.soak  # dis-flow on Ray and in one process is compared by every run (test_pseudolabel_job)
def test_offline_on_ray_gives_the_bytes_of_one_process(root, checkpoints, run_job, published):
    command = ("pseudolabel.py", "--root", root, "--labeler", "cotracker3-offline", "--queries", 9, "--query-frames", 2, *SMALL)
    command += ("--checkpoint", checkpoints / "offline.pth")
    name = run_job(*command, "--executor", "inline").stdout.splitlines()[-1]
    inline = published(root / "labels" / name)
    (root / "labels" / name).rename(root / "kept")
    assert run_job(*command, "--num-workers", 1, "--clips-per-batch", 2).stdout.splitlines()[-1] == name
    assert published(root / "labels" / name) == inline


def test_a_wrong_checkpoint_ends_the_job_before_it_begins(root, checkpoints, run_job):
    command = ("pseudolabel.py", "--root", root, "--labeler", "cotracker3-offline", "--executor", "inline")
    done = run_job(*command, "--checkpoint", checkpoints / "online.pth", code=2)
    assert "cotracker3-online" in done.stderr
    done = run_job(*command, "--checkpoint", root / "dataset.json", code=2)
    assert "dataset.json" in done.stderr


def test_the_documents_python_runs_as_it_stands(checkpoints):
    document = (REPO / "docs" / "cotracker3.md").read_text()
    code = re.search(r"```python\n(.*?)```", document, re.DOTALL)[1]
    for shown, here in (
        ('build_model("cotracker3-offline")', 'build_model("cotracker3-offline", {"model_resolution": (64, 96)})'),  # to be quick
        ("hf://facebook/cotracker3/scaled_offline.pth", str(checkpoints / "offline.pth")),
        ("(48, 720, 1280, 3)", "(8, 180, 320, 3)"),
        ("[20, 100, 50]", "[6, 100, 50]"),
    ):
        assert shown in code
        code = code.replace(shown, here)
    names: dict = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two wait for each other where other processes have the cores
    exec(code, names)
    torch.set_num_threads(threads)
    assert names["found"].tracks_px.shape == (8, 2, 2)
    assert names["more"][0].visibility.shape == (8, 1)


PEAK = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("peak", next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.soak
def test_memory_does_not_grow_with_the_length_of_a_streamed_clip(make_video, checkpoints, tmp_path, run_job):
    peaks = {}
    for num_frames in (48, 96):
        make_video(f"v{num_frames}/a.mp4", num_frames=num_frames, size=(360, 640))
        root = tmp_path / f"root{num_frames}"
        run_job("shard.py", tmp_path / f"v{num_frames}", "--root", root, "--clip-frames", num_frames, "--executor", "inline")
        arguments = ["--root", root, "--labeler", "cotracker3-online", "--checkpoint", checkpoints / "online.pth", "--queries", 9]
        arguments += [
            "--executor",
            "inline",
            "--frames-in-memory",
            16,
            "--option",
            "height=64",
            "--option",
            "width=96",
            "--option",
            "iterations=1",
        ]
        command = [sys.executable, "-c", PEAK, REPO / "jobs/pseudolabel.py", *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900, env=os.environ, check=False)
        assert "peak" in done.stdout, done.stdout + done.stderr
        peaks[num_frames] = int(done.stdout.rpartition("peak")[2])
        table = pq.read_table(next((root / "labels").glob("*/000000.parquet")))
        assert table["num_frames"].to_pylist() == [num_frames]
        assert table["status"].to_pylist() == ["ok"]
    assert peaks[96] < 1.1 * peaks[48]


@pytest.mark.soak
def test_a_real_clip_through_ray(real_videos, checkpoints, tmp_path, run_job):
    root = tmp_path / "root"
    run_job("shard.py", real_videos[0], "--root", root, "--limit", 1, "--clip-frames", 24, "--executor", "inline")
    command = ("pseudolabel.py", "--root", root, "--labeler", "cotracker3-offline", "--checkpoint", checkpoints / "offline.pth")
    name = run_job(*command, "--queries", 25, "--num-workers", 1, *SMALL).stdout.splitlines()[-1]
    labels = list(read_labels(str(root), name))
    assert labels
    assert all(one.tracks_px.shape[1] == 25 for _, one in labels)
