"""SIGKILL at random moments, again and again, with and without Ray: run by `make soak`, not by `make test`."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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


class Soak:
    """Roots made by jobs that are killed at random moments, until as many kills have struck as asked for."""

    def __init__(self, videos: Path, folder: Path, published: Callable[[Path], dict[str, str]]) -> None:
        self.videos, self.folder, self.published = videos, folder, published
        self.rng = random.Random(int(os.environ.get("TRACKMILL_SOAK_SEED", time.time_ns())))
        self.roots = 0
        self.expected: dict[str, str] = {}

    def commands(self, root: Path, executor: str) -> list[list[str]]:
        return [shard(self.videos, root, executor), label(root, executor)]

    def undisturbed(self, executor: str) -> list[float]:
        """Seconds of each command when nobody kills it. Ray or not, it writes the same bytes."""
        root, durations = self.folder / f"undisturbed-{executor}", []
        for command in self.commands(root, executor):
            started = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
            durations.append(time.monotonic() - started)
        self.expected = self.expected or self.published(root)
        assert self.published(root) == self.expected
        return durations

    def kill(self, executor: str, kills: int) -> None:
        """One root after the other: each command is killed until it ends first, or until there were kills enough."""
        durations, struck = self.undisturbed(executor), 0
        while struck < kills:
            root = self.folder / f"killed-{self.roots}"
            self.roots += 1
            for command, duration in zip(self.commands(root, executor), durations, strict=True):
                while killed_after(command, self.rng.uniform(0.1, 1.1) * duration if struck < kills else 600):
                    struck += 1
            assert self.published(root) == self.expected


def test_thirty_kills_change_no_byte(make_video, tmp_path, published):
    for index in range(8):
        make_video(f"v/{index}.mp4", num_frames=120, seed=index, size=(120, 200))
    soak = Soak(tmp_path / "v", tmp_path, published)
    soak.kill("inline", KILLS - OF_THEM_ON_RAY)
    soak.kill("ray", OF_THEM_ON_RAY)
    print(f"{KILLS} kills struck running jobs on {soak.roots} roots of {len(soak.expected)} files each; all are equal")  # noqa: T201
