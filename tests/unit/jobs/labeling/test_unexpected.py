"""A labeler with a mistake in it: what is lost, what is said, and what the next run does again."""

import hashlib
import sys
from pathlib import Path

import pytest

from jobs.auditing.run_job import audit_labels
from jobs.auditing.run_plan import AuditingConfig
from jobs.execution.held import BrokenStageError
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, LabelingOutcome, label_dataset
from jobs.sharding.job import ShardingConfig, make_shards
from labelers import QueryPolicy
from pipeline.errors import StorageError
from pipeline.labels import read_label_shard
from pipeline.layout import Layout
from pipeline.manifest import ManifestOptions
from pipeline.shards import cutting
from pipeline.shards.errors_table import read_errors
from pipeline.shards.policy import ClipPolicy
from pipeline.tables import read_table

pytestmark = pytest.mark.unexpected
INLINE = Executor(name="inline", limits=Limits())
LABELER = """
import numpy as np
from labelers import LabelerProvenance
from pipeline.records import TrackLabels

class Buggy:
    hits = ()
    seen = []

    def label(self, clips):
        return [self.one(clip) for clip in clips]

    def one(self, clip):
        Buggy.seen.append(clip.key)
        if any(part in "/" + clip.key for part in Buggy.hits):
            raise KeyError("tracks")
        tracks = np.repeat(clip.queries[None, :, 1:], clip.reader.shape[0], axis=0)
        return TrackLabels(queries=clip.queries, tracks_px=tracks, visibility=np.ones(tracks.shape[:2], bool))

    def provenance(self):
        return LabelerProvenance(name="buggy", options={}, visibility_rule="always")
"""


@pytest.fixture
def buggy(tmp_path, monkeypatch):
    (tmp_path / "buggy.py").write_text(LABELER)
    monkeypatch.syspath_prepend(tmp_path)
    import buggy

    yield buggy.Buggy
    sys.modules.pop("buggy", None)


@pytest.fixture
def root(make_video, tmp_path) -> str:
    """Three shards of eight clips of three frames: one of a.mp4, one of b.mp4, one of c.mp4."""
    for name in "abc":
        make_video(f"v/{name}.mp4", num_frames=24, size=(48, 64))
    policy = ClipPolicy(clip_frames=3, min_frames=3, clips_per_shard=8)
    root = str(tmp_path / "root")
    config = ShardingConfig(
        inputs=(str(tmp_path / "v"),), root=root, preset="auto", manifest=ManifestOptions(), policy=policy, executor=INLINE
    )
    make_shards(config, dry_run=False)
    return root


def label(root: str) -> LabelingOutcome:
    queries = QueryPolicy(policy="grid", num_queries=4)
    return label_dataset(
        LabelingConfig(root=root, labeler="buggy:Buggy", labeler_options={}, queries=queries, executor=INLINE), dry_run=False
    )


def published(root: str) -> dict[str, str]:
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(root).rglob("*") if path.is_file()}


def test_only_the_clips_that_failed_unexpectedly_are_labelled_again(root, buggy):
    buggy.hits = ("w0001", "w0005")
    first = label(root)
    assert (first.totals.ok, first.totals.failed) == (18, 6)
    (row, *others) = read_errors(root, f"labels/{first.label_set}")
    assert len(others) == 5
    assert len(first.unexpected) == 6
    assert (row.exception, row.source, row.unexpected) == ("KeyError", "a.mp4", True)
    assert row.message.startswith(f"clip {row.key}: unexpected KeyError at buggy.py:")
    before = read_table(Layout(root).label_shard(first.label_set, 1), "labels")

    buggy.hits, buggy.seen = ("w0005",), []
    second = label(root)
    assert sorted(key[-5:] for key in buggy.seen) == ["w0001"] * 3 + ["w0005"] * 3
    assert (second.num_clips, second.num_shards, second.totals.ok, second.totals.failed) == (6, 3, 3, 3)
    after = read_table(Layout(root).label_shard(first.label_set, 1), "labels")
    assert after["key"].equals(before["key"])
    assert after.filter([True, False, *[True] * 6]).equals(before.filter([True, False, *[True] * 6]))
    assert [entry.status for entry in read_label_shard(root, first.label_set, 1).entries.values()].count("ok") == 7

    buggy.hits = ()
    assert label(root).unexpected == ()
    state, buggy.seen = published(root), []
    assert label(root).num_shards == 0
    assert (published(root), buggy.seen) == (state, [])


def test_labels_that_were_mended_equal_those_that_never_failed(root, buggy):
    name = label(root).label_set
    whole = {shard: Path(Layout(root).label_shard(name, shard)).read_bytes() for shard in range(3)}
    for path in Path(root, "labels").rglob("*.parquet"):
        path.unlink()
    buggy.hits = ("w0003", "/a-")
    label(root)
    buggy.hits = ()
    label(root)
    assert {shard: Path(Layout(root).label_shard(name, shard)).read_bytes() for shard in range(3)} == whole


def test_clips_that_were_mended_are_judged_anew_by_the_audit(root, buggy):
    buggy.hits = ("/b-",)
    name = label(root).label_set
    config = AuditingConfig(root=root, label_set=name, executor=INLINE, calibration="none")
    assert audit_labels(config, dry_run=False).summary.reasons["label_failed"] == 8
    buggy.hits = ()
    label(root)
    again = audit_labels(config, dry_run=False)
    assert again.plan.missing == (1,)
    assert "label_failed" not in again.summary.reasons


def test_a_labeler_that_works_nowhere_stops_the_job_and_nothing_is_committed(root, buggy):
    buggy.hits = ("w",)
    with pytest.raises(BrokenStageError, match=r"the first 24 parts .*KeyError at .*buggy.py:\d+[\s\S]*KeyError: 'tracks'"):
        label(root)
    assert not [name for name in published(root) if name.startswith(("labels", "errors")) and name.endswith(".parquet")]


def test_a_shard_whose_index_is_damaged_costs_itself(root, buggy):
    index = Path(Layout(root).shard_index(1))
    index.write_bytes(index.read_bytes()[:50])
    with pytest.raises(StorageError, match=r"labels of 1 of 3 shards not committed; the first, 000001: .*not a readable Parquet"):
        label(root)
    assert sorted(path.name for path in Path(root, "labels").rglob("*.parquet")) == ["000000.parquet", "000002.parquet"]


def test_a_mistake_in_cutting_is_a_row_with_its_traceback(make_video, tmp_path, monkeypatch):
    make_video("v/a.mp4", num_frames=12, size=(48, 64))
    calls, cut_record = [], cutting._record

    def record(clip, data, probe):
        calls.append(clip.key)
        if len(calls) == 2:
            raise KeyError("codec")
        return cut_record(clip, data, probe)

    monkeypatch.setattr(cutting, "_record", record)
    root = str(tmp_path / "root")
    config = ShardingConfig(
        inputs=(str(tmp_path / "v"),), root=root, preset="auto", manifest=ManifestOptions(), executor=INLINE,
        policy=ClipPolicy(clip_frames=3, min_frames=3),
    )  # fmt: skip
    outcome = make_shards(config, dry_run=False)
    (row,) = read_errors(root, "shards")
    assert (outcome.failed_clips, row.key, row.exception, row.source) == (1, calls[1], "KeyError", "a.mp4")
    assert row.message.startswith(f"clip {row.key}: unexpected KeyError at test_unexpected.py:")
    assert "KeyError: 'codec'" in row.traceback
