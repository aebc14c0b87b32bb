"""jobs/audit.py screen as a user runs it: planted clips get their verdicts; killed and resumed, the bytes are the same."""

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.auditing.screen_job import ScreeningConfig, screen_dataset
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.shard import app as shard_app
from pipeline.audit.stored.screen import read_screen
from pipeline.audit.verdict import ScreenRules
from pipeline.errors import ConfigError
from pipeline.shards.index import read_index
from pipeline.shards.tombstones import write_tombstones

KILLED = 137
EXPECTED = {
    "blank": ("drop", ["blank"]),
    "clean": ("keep", []),
    "credits": ("drop", ["credits", "overlay"]),
    "cut": ("drop", ["cut_inside"]),
    "dark": ("drop", ["dark", "blank"]),
    "doubled": ("quarantine", ["duplicate_frames"]),
    "letterbox": ("quarantine", ["letterbox"]),
    "static": ("drop", ["static"]),
}


def moving(num_frames: int = 24, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((96 + num_frames, 160 + 2 * num_frames, 3))
    noise = cv2.GaussianBlur(noise, (0, 0), 4.0) + 0.3 * cv2.GaussianBlur(noise, (0, 0), 1.5)
    scene = np.clip(120 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)
    return np.stack([scene[t : t + 96, 2 * t : 2 * t + 160] for t in range(num_frames)])


def rolling_text() -> np.ndarray:
    page = np.zeros((400, 160, 3), np.uint8)
    for line in range(20):
        cv2.putText(page, f"NAME {line * 37 % 100} AND {line}", (10, 20 + 18 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return np.stack([page[2 * t : 2 * t + 96] for t in range(24)])


def planted() -> dict[str, np.ndarray]:
    letterbox = moving()
    letterbox[:, :12] = letterbox[:, -12:] = 0
    return {
        "blank": np.full((24, 96, 160, 3), 120, np.uint8),
        "clean": moving(),
        "credits": rolling_text(),
        "cut": np.concatenate([moving(12), moving(12, seed=1)]),
        "dark": (moving() * 0.08).astype(np.uint8),
        "doubled": np.repeat(moving(12), 2, axis=0),
        "letterbox": letterbox,
        "static": np.repeat(moving(1), 24, axis=0),
    }


def write(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "24", "bf": "0", "crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.thread_count = 1
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def cut_root(tmp_path_factory) -> Path:
    """A dataset of the planted clips in three shards, not screened yet."""
    folder = tmp_path_factory.mktemp("planted")
    for name, frames in planted().items():
        write(folder / f"{name}.mp4", frames)
    root = folder / "root"
    arguments = [folder, "--root", root, "--clip-frames", 24, "--clips-per-shard", 3, "--executor", "inline"]
    done = CliRunner().invoke(shard_app, [str(each) for each in arguments])
    assert done.exit_code == 0, done.output
    return root


def a_copy(root: Path, to: Path) -> Path:
    shutil.copytree(root, to)
    return to


def config(root: Path) -> ScreeningConfig:
    return ScreeningConfig(root=str(root), executor=Executor(name="inline", limits=Limits()))


def test_planted_clips_are_found_and_a_killed_screen_ends_with_the_same_bytes(cut_root, tmp_path, run_job, published):
    root = a_copy(cut_root, tmp_path / "undisturbed")
    done = run_job("audit.py", "screen", "--root", root, "--executor", "inline")
    found = duckdb.sql(f"select split_part(key, '-', 1), verdict, reasons from '{root}/screen/*.parquet' order by key").fetchall()
    assert {name: (verdict, reasons) for name, verdict, reasons in found} == EXPECTED
    assert "120 of 192 frames (62.5%), in dropped clips" in done.stdout
    assert "CPU hours per hour of video" in done.stdout
    undisturbed = published(root)

    killed = a_copy(cut_root, tmp_path / "killed")
    screen = ("audit.py", "screen", "--root", killed, "--executor", "inline")
    run_job(*screen, through=("before publishing", "3"), code=KILLED)
    assert len(list((killed / "screen").glob("*.parquet"))) == 1
    resumed = run_job(*screen)
    assert "1 shard done before" in resumed.stdout
    assert published(killed) == undisturbed


def test_a_dry_run_writes_nothing_and_other_rules_need_another_screen(cut_root, tmp_path, published):
    root = a_copy(cut_root, tmp_path / "root")
    before = published(root)
    dry = screen_dataset(config(root), dry_run=True)
    assert (dry.num_clips, dry.num_shards) == (8, 3)
    assert published(root) == before
    screen_dataset(config(root), dry_run=False)
    with pytest.raises(ConfigError, match="allow_static: False -> True"):
        screen_dataset(replace(config(root), rules=ScreenRules(allow_static=True)), dry_run=False)


def test_a_damaged_clip_is_an_error_row_and_a_forgotten_one_is_not_read(cut_root, tmp_path):
    root = a_copy(cut_root, tmp_path / "root")
    damaged, forgotten, _ = read_index(str(root), 0)
    with (root / "shards/000000.tar").open("r+b") as tar:
        tar.seek(damaged.video.offset + damaged.video.length // 2)
        tar.write(b"damage")
    write_tombstones(str(root), keys=[forgotten.key])
    outcome = screen_dataset(config(root), dry_run=False)
    assert outcome.totals.decisions["error"] == 1
    assert "damaged or replaced" in outcome.first_errors[0].message
    rows = read_screen(str(root), 0)
    assert [row.verdict.reasons for row in rows[:2]] == [("unreadable",), ("tombstoned",)]
    assert [row.measures is None for row in rows] == [True, True, False]


def test_a_root_without_a_plan_is_bad_usage(tmp_path, run_job):
    refused = run_job("audit.py", "screen", "--root", tmp_path, "--executor", "inline", code=2)
    assert "jobs/shard.py" in refused.stderr
