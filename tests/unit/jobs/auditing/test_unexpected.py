"""Mistakes while clips are screened or audited: rows that say so, and shards that the next run takes up again."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from jobs.auditing.run_job import AuditingOutcome, audit_labels
from jobs.auditing.run_plan import AuditingConfig
from jobs.auditing.screen_job import ScreeningConfig, ScreeningOutcome, screen_dataset
from jobs.auditing.screen_report import report_screen
from jobs.execution.held import BrokenStageError
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from pipeline.audit import auditing_shard, screening
from pipeline.records import TrackLabels
from pipeline.shards.errors_table import read_errors
from tests.labelled_dataset import LabelledClip, write_dataset

pytestmark = pytest.mark.unexpected
INLINE = Executor(name="inline", limits=Limits())
GREY = np.random.default_rng(0).integers(0, 255, (4, 32, 32)).astype(np.uint8)
LABELS = TrackLabels(queries=np.zeros((1, 3), np.float32), tracks_px=np.full((4, 1, 2), 8, np.float32), visibility=np.ones((4, 1), bool))


def dataset(root: Path, num_shards: int = 2, clips: int = 2) -> str:
    shards = [[LabelledClip(key=f"c{shard}-{clip}", grey=GREY, labels=LABELS) for clip in range(clips)] for shard in range(num_shards)]
    return write_dataset(root, shards, labeler="by-hand")


def screen(root: Path) -> ScreeningOutcome:
    return screen_dataset(ScreeningConfig(root=str(root), executor=INLINE), dry_run=False)


def audit(root: Path, label_set: str) -> AuditingOutcome:
    return audit_labels(AuditingConfig(root=str(root), label_set=label_set, executor=INLINE, calibration="none"), dry_run=False)


def published(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def failing(original, hits: set[str], place_of_key: int):
    """The function, which has a mistake in it for some clips."""

    def run(*arguments):
        if getattr(arguments[place_of_key], "key", "") in hits or "all" in hits:
            raise ZeroDivisionError("planted")
        return original(*arguments)

    return run


def test_a_screen_with_a_mistake_is_made_again_for_the_shards_that_it_hit(tmp_path, monkeypatch, capsys):
    dataset(tmp_path)
    hits = {"c1-0"}
    monkeypatch.setattr(screening, "measure_stored", failing(screening.measure_stored, hits, 1))
    first = screen(tmp_path)
    (row,) = read_errors(str(tmp_path), "screen")
    assert (row.key, row.exception, row.source, first.unexpected) == ("c1-0", "ZeroDivisionError", "c1-0.mp4", (row,))
    assert "c1-0: unexpected ZeroDivisionError at test_unexpected.py" in row.message
    assert first.totals.decisions["error"] == 1
    assert report_screen(first, str(tmp_path), 0.05) == 3
    assert "unexpected: 1, they are tried again by the next run; the first: " in (said := capsys.readouterr().err)
    assert "Traceback" in said

    before = published(tmp_path)
    hits.clear()
    second = screen(tmp_path)
    assert (second.num_shards, second.already_done, second.totals.decisions["error"], second.unexpected) == (1, 1, 0, ())
    after = published(tmp_path)
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == {
        "screen/000001.parquet",
        "errors/screen/000001.parquet",
    }
    assert screen(tmp_path).num_shards == 0
    assert published(tmp_path) == after


def test_an_audit_with_a_mistake_is_made_again_for_the_shards_that_it_hit(tmp_path, monkeypatch):
    label_set, hits = dataset(tmp_path), {"c0-1"}
    monkeypatch.setattr(auditing_shard, "read_video", failing(auditing_shard.read_video, hits, 1))
    first = audit(tmp_path, label_set)
    (row,) = read_errors(str(tmp_path), f"audit/{label_set}")
    assert (row.key, row.exception, first.unexpected, first.summary.decisions["error"]) == ("c0-1", "ZeroDivisionError", (row,), 1)
    hits.clear()
    second = audit(tmp_path, label_set)
    assert (second.plan.missing, second.summary.decisions["error"], second.unexpected) == ((0,), 0, ())
    state = published(tmp_path)
    assert audit(tmp_path, label_set).plan.missing == ()
    assert published(tmp_path) == state


@pytest.mark.parametrize("stage", ["screen", "audit"])
def test_a_mistake_that_hits_every_clip_stops_the_job_and_nothing_is_committed(tmp_path, monkeypatch, stage):
    label_set = dataset(tmp_path, num_shards=5, clips=5)
    module, name = (screening, "measure_stored") if stage == "screen" else (auditing_shard, "read_video")
    monkeypatch.setattr(module, name, failing(getattr(module, name), {"all"}, 1))
    with pytest.raises(BrokenStageError, match="the first 20 parts .*ZeroDivisionError at .*test_unexpected.py"):
        screen(tmp_path) if stage == "screen" else audit(tmp_path, label_set)
    assert not [file for file in published(tmp_path) if file.endswith(".parquet") and file.startswith((stage, "errors"))]
