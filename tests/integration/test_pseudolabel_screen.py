"""jobs/pseudolabel.py after jobs/audit.py screen: what was dropped is left out, by a label set of another name; and --cycle."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from jobs.auditing.screen_job import ScreeningConfig, screen_dataset
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.pseudolabel import app
from jobs.shard import app as shard_app
from pipeline.labels import read_labels
from pipeline.layout import Layout
from pipeline.tables import read_document, read_table
from tests.conftest import texture, write_video


@pytest.fixture
def root(tmp_path, make_video) -> Path:
    """A moving clip, a frozen one and a dark one, in two shards."""
    make_video("v/a-moving.mp4", num_frames=12)
    write_video(tmp_path / "v/b-frozen.mp4", np.repeat(texture(1, 160, 96), 12, axis=0))
    write_video(tmp_path / "v/c-dark.mp4", (texture(12, 160, 96) * 0.08).astype(np.uint8))
    root = tmp_path / "root"
    arguments = [tmp_path / "v", "--root", root, "--clips-per-shard", 2, "--executor", "inline"]
    done = CliRunner().invoke(shard_app, [str(each) for each in arguments])
    assert done.exit_code == 0, done.output
    return root


def label(root: Path, *options: object, code: int = 0) -> Result:
    arguments = ["--root", root, "--labeler", "lucas-kanade", "--queries", 16, "--executor", "inline", *options]
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done


def name_of(done: Result) -> str:
    return done.stdout.strip().splitlines()[-1]


def words_of(done: Result) -> str:
    """The output without the frames of tables and the line breaks that a narrow terminal needs."""
    return " ".join(done.output.replace("│", " ").split())


def screen(root: Path) -> None:
    screen_dataset(ScreeningConfig(root=str(root), executor=Executor(name="inline", limits=Limits())), dry_run=False)


def statuses(root: Path, label_set: str) -> list[tuple[str, str | None, bool]]:
    tables = [read_table(Layout(str(root)).label_shard(label_set, shard), "labels") for shard in (0, 1)]
    rows = [row for table in tables for row in table.to_pylist()]
    return [(row["status"], row["error"], row["cycle_error_px"] is not None) for row in rows]


def test_labelling_obeys_the_screen_and_follows_tracks_back(root):
    before = name_of(label(root, "--dry-run"))
    screen(root)
    planned = label(root, "--cycle", "--dry-run")
    assert "2 of 3 clips left out (1 blank, 1 dark, 1 static): 24 of 36 frames (66.7%)" in words_of(planned)
    assert not (root / "labels").exists()

    done = label(root, "--cycle")
    assert name_of(done) == name_of(planned)
    assert statuses(root, name_of(done)) == [
        ("ok", None, True),
        ("screened", "dropped by the screen: static", False),
        ("screened", "dropped by the screen: dark, blank", False),
    ]
    configuration = read_document(Layout(str(root)).label_set_json(name_of(done)), "label_set")["configuration"]
    assert configuration["cycle"] is True
    assert len(configuration["screen"]) == 16
    ((_, labels),) = read_labels(str(root), name_of(done))
    assert np.nanmedian(labels.cycle_error_px) < 0.5

    assert name_of(label(root, "--screen", "ignore", "--dry-run")) == before
    assert len({before, name_of(done), name_of(label(root, "--dry-run"))}) == 3


def test_a_screen_that_is_not_whole_is_refused_before_anything_is_written(root):
    screen(root)
    (root / "screen/000001.parquet").unlink()
    refused = label(root, code=2)
    assert "1 of 2 shards to label not screened yet, the first is 000001" in words_of(refused)
    assert f"jobs/audit.py screen --root {root}" in words_of(refused)
    assert not (root / "labels").exists()
