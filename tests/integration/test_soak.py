"""SIGKILL at random moments, again and again, with and without Ray: run by `make soak`, not by `make test`."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
KILLS = 30
OF_THEM_ON_RAY = 10

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def shard(videos: Path, root: Path, executor: str) -> list[str]:
    options = ["--clip-frames", "12", "--clips-per-shard", "2", "--executor", executor, "--long-side", "128"]
    return [sys.executable, str(REPO / "jobs/shard.py"), str(videos), "--root", str(root), *options]


def label(root: Path, executor: str) -> list[str]:
    options = ["--labeler", "dis-flow", "--queries", "64", "--executor", executor]
    return [sys.executable, str(REPO / "jobs/pseudolabel.py"), "--root", str(root), *options]


def killed_after(command: list[str], seconds: float) -> bool:
    """Start a job and kill it after so many seconds; False if it had ended by then."""
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True)
    try:
        job.wait(seconds)
    except subprocess.TimeoutExpired:
        job.send_signal(signal.SIGKILL)
        job.wait()
        return True
    assert job.returncode == 0
    return False


def run_killed(commands: list[list[str]], durations: list[float], kills: int, rng: random.Random) -> int:
    """Run the commands one after the other, each killed at random moments before it is left to end. Returns the kills that struck."""
    struck = 0
    for command, duration, share in zip(commands, durations, (kills - kills // 2, kills // 2), strict=True):
        for _ in range(share):
            struck += killed_after(command, rng.uniform(0.2, 1.0) * duration)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    return struck


def test_thirty_kills_change_no_byte(make_video, tmp_path, published):
    for index in range(4):
        make_video(f"v/{index}.mp4", num_frames=60, seed=index, size=(120, 200))
    rng = random.Random(time.time_ns() if "TRACKMILL_SOAK_SEED" not in os.environ else int(os.environ["TRACKMILL_SOAK_SEED"]))
    expected, struck = None, 0
    for executor, kills in (("inline", KILLS - OF_THEM_ON_RAY), ("ray", OF_THEM_ON_RAY)):
        durations, undisturbed = [], tmp_path / f"undisturbed-{executor}"
        for command in (shard(tmp_path / "v", undisturbed, executor), label(undisturbed, executor)):
            started = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
            durations.append(time.monotonic() - started)
        expected = expected or published(undisturbed)
        assert published(undisturbed) == expected  # Ray or not: the same bytes
        root = tmp_path / f"killed-{executor}"
        commands = [shard(tmp_path / "v", root, executor), label(root, executor)]
        struck += run_killed(commands, durations, kills, rng)
        assert published(root) == expected
    print(f"{struck} of {KILLS} kills struck a running job; {len(expected)} files, all equal")  # noqa: T201  what a soak is for
