"""jobs/train.py as a user runs it: on rendered clips and on pseudo tracks, killed with SIGKILL in mid-epoch, and resumed."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner, Result

from jobs.pseudolabel import app as label_app
from jobs.synthesize import app as synthesize_app
from jobs.train import app
from tests.unit.trainer.loop.rendered import TINY
from trainer.loop import read_journal
from trainer.loop.checkpoints import checkpoint_steps

REPO = Path(__file__).parents[2]
STEPS = 5


def invoke(typer_app: object, *arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(typer_app, [str(argument) for argument in arguments])  # type: ignore[arg-type]
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    rendered = ("--num-clips", 3, "--clip-frames", 6, "--height", 56, "--width", 56, "--queries", 24, "--executor", "inline")
    whole = ("--split-shares", "train=1,val=0,test=0")
    for domain in ("studio", "wild"):
        invoke(synthesize_app, "--root", folder / domain, "--domain", domain, *rendered, *whole)
    labelled = invoke(label_app, "--root", folder / "wild", "--labeler", "dis-flow", "--query-policy", "truth", "--executor", "inline")
    config = {
        "out": str(folder / "run"),
        "steps": STEPS,
        "model": {"name": "trajvg", "config": TINY},
        "data": {
            "labelled": [{"root": str(folder / "studio")}],
            "pseudo": [{"root": str(folder / "wild"), "labels": labelled.stdout.split()[-1]}],
            "labelled_clips": 2,
            "num_tracks": 8,
            "shape": {"frames": [2, 3], "pixels": [1500, 2400], "aspect": [1.0, 1.4]},
        },
        "frozen": ["conf_decoder", "conf_head"],
        "losses": {"coupling_settings": {"gate": {"gates": []}}},
        "checkpoints": {"every_steps": 2},
        "logs": {"every_steps": 1, "tensorboard": False},
        "loader_workers": 0,
    }
    (folder / "stage.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_a_killed_training_ends_as_an_undisturbed_one(stage: Path) -> None:
    torch.set_num_threads(1)
    config, whole, killed = stage / "stage.yaml", stage / "whole", stage / "killed"
    first = invoke(app, "--config", config, "--out", whole, "--device", "cpu")
    assert "step 5/5: loss " in first.output
    assert "waiting for data" in first.output
    command = [sys.executable, "jobs/train.py", "--config", str(config), "--out", str(killed), "--device", "cpu"]
    process = subprocess.Popen(command, cwd=REPO, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    while not checkpoint_steps(str(killed)) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert checkpoint_steps(str(killed))[-1] < STEPS
    invoke(app, "--config", config, "--out", killed, "--device", "cpu", code=2)  # not without --resume
    again = invoke(app, "--config", config, "--out", killed, "--device", "cpu", "--resume")
    assert "resumed from step" in again.output
    rows, expected = read_journal(str(killed)), read_journal(str(whole))
    assert [(row["step"], row["loss"], row["terms"]) for row in rows] == [(row["step"], row["loss"], row["terms"]) for row in expected]
    name = f"checkpoints/{STEPS:08d}.safetensors"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()
    shown = invoke(app, "--config", whole / "config.yaml", "--dry-run").output
    assert shown.count("studio") == 1
    assert re.search(r"first step .*\d labelled clips?, \d pseudo clips?, of \d+ frames of \d+x\d+", shown)
    absent = ("--set", "data.pseudo.0.audit=none-1a2b3c4d")
    assert "none-1a2b3c4d" in invoke(app, "--config", whole / "config.yaml", *absent, "--dry-run", code=2).output


@pytest.mark.usefixtures("local_ray", "_ctrl_c_as_before")
def test_two_workers_of_which_one_dies_train_what_one_with_twice_the_clips_would(stage: Path) -> None:
    torch.set_num_threads(1)
    longer = ("--config", stage / "stage.yaml", "--device", "cpu", "--set", "steps=8")
    invoke(app, *longer, "--out", stage / "one", "--set", "data.labelled_clips=4", "--set", "data.pseudo_clips=2")
    over = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as thread:
        killed = thread.submit(kill_a_trainer, stage / "two", over)
        try:
            invoke(app, *longer, "--out", stage / "two", "--num-workers", 2)
        finally:
            over.set()
        assert killed.result() == 2
    rows, expected = read_journal(str(stage / "two")), read_journal(str(stage / "one"))
    assert [row["step"] for row in rows] == [row["step"] for row in expected] == list(range(8))
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in expected], rel=1e-4)


@pytest.fixture
def _ctrl_c_as_before() -> Iterator[None]:
    """Ray Train takes Ctrl-C for itself."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def kill_a_trainer(out: Path, over: threading.Event) -> int:
    """Kill one of the training processes below this one once there is a checkpoint; how many there were."""
    while not checkpoint_steps(str(out)):
        if over.wait(0.01):
            return 0
    trainers = [pid for pid in below(os.getpid()) if b"TrainWorker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(trainers[-1], signal.SIGKILL)
    return len(trainers)


def below(pid: int) -> list[int]:
    """All processes that a process started, and those that they started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


def test_mistakes_are_one_line(stage: Path) -> None:
    config = stage / "stage.yaml"
    missing = invoke(app, "--config", config, "--set", f"data.labelled.0.root={stage}/nowhere", "--out", stage / "none", code=2)
    assert str(stage / "nowhere") in missing.output
    wrong = invoke(app, "--config", config, "--set", "losses.coupling.weigth=1", code=2)
    assert "losses.coupling has no weigth" in wrong.output
    chosen = invoke(app, "--config", config, "--out", stage / "none", "--num-workers", 2, "--device", "cuda:1", code=2)
    assert "--device is 'cuda:1'; with Ray" in chosen.output
    assert not (stage / "none").exists()
