"""A root that the code before label kinds labelled and audited: read, streamed, grown and extended, with its bytes kept."""

import hashlib
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.auditing.run_plan import AuditingConfig, plan_audit
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, label_dataset
from jobs.sharding.job import ShardingConfig, make_shards
from labelers import QueryPolicy
from pipeline.labels import decode_row, encode_rows, read_label_set, read_labels, write_label_set, write_label_tables
from pipeline.manifest.inputs import ManifestOptions
from pipeline.shards.policy import ClipPolicy
from pipeline.stream import ClipStream, StreamConfig

ARCHIVE = Path(__file__).parents[1] / "golden/old_root/root.tar.xz"
LABEL_SET = "dis-flow-0aac7930"
INLINE = Executor(name="inline", limits=Limits())


@pytest.fixture
def old(tmp_path) -> Path:
    """The folder with `root` and `videos`, where the sources are now."""
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path


def labelling(root: Path, *, query_frames: int | None = 1) -> LabelingConfig:
    queries = QueryPolicy(policy="grid", num_queries=100, num_query_frames=query_frames)
    return LabelingConfig(root=str(root), labeler="dis-flow", labeler_options={}, queries=queries, executor=INLINE)


def digests(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.iterdir())}


def test_its_labels_are_read_by_kind_and_streamed_with_the_audits_weights(old):
    root = old / "root"
    label_set = read_label_set(str(root), LABEL_SET)
    assert (label_set.kind, label_set.name) == ("tracks", LABEL_SET)
    labels = dict(read_labels(root, LABEL_SET))
    assert [found.tracks_px.shape for found in labels.values()] == [(8, 100, 2)] * 2
    samples = {sample.key: sample for sample in ClipStream(StreamConfig(root=root, audit=LABEL_SET, num_frames=None, epochs=1))}
    assert samples.keys() == labels.keys()
    for key, sample in samples.items():
        np.testing.assert_array_equal(sample.tracks2d, labels[key].tracks_px)
        np.testing.assert_array_equal(sample.visibility, labels[key].visibility)
        assert sample.verdict == "keep"
        assert 0 < sample.track_weights.mean() < 1
        assert sample.depth is sample.depth_source is None


def test_its_files_are_written_again_as_they_are(old):
    written = old / "root/labels" / LABEL_SET
    made_by = pq.read_metadata(written / "000000.parquet").created_by
    if made_by != f"parquet-cpp-arrow version {pa.__version__}":
        pytest.skip(f"made by {made_by}, whose encoder is not at hand")
    table = pq.read_table(written / "000000.parquet")
    rows = [decode_row(table, place) for place in range(table.num_rows)]
    again = str(old / "again")
    write_label_set(again, read_label_set(str(old / "root"), LABEL_SET))
    write_label_tables(again, LABEL_SET, shard=0, tables=[encode_rows(rows)])
    assert digests(Path(again) / "labels" / LABEL_SET) == digests(written)


def test_without_its_query_frames_another_set_is_begun_and_the_option_that_goes_on_with_it_is_named(old, capsys):
    other = label_dataset(labelling(old / "root", query_frames=None), dry_run=True).label_set
    assert other != LABEL_SET
    assert f"note: {other} is a new label set; to go on with {LABEL_SET}, give --query-frames 1" in capsys.readouterr().err
    assert label_dataset(labelling(old / "root"), dry_run=True).label_set == LABEL_SET
    assert not capsys.readouterr().err


def test_grown_by_a_clip_it_is_extended_and_what_was_there_keeps_its_bytes(old):
    root, videos = old / "root", old / "videos"
    before = digests(root / "labels" / LABEL_SET)
    shutil.copy(videos / "walk1.mp4", videos / "walk3.mp4")
    policy = ClipPolicy(clip_frames=8, clips_per_shard=2)
    config = ShardingConfig(
        inputs=(str(videos),),
        root=str(root),
        preset="auto",
        manifest=ManifestOptions(),
        policy=policy,
        executor=INLINE,
        source_roots={"0": str(videos)},
    )
    assert make_shards(config, dry_run=False).num_errors == 0
    outcome = label_dataset(labelling(root), dry_run=False)
    assert (outcome.label_set, outcome.totals.ok, outcome.already_done) == (LABEL_SET, 1, 1)
    after = digests(root / "labels" / LABEL_SET)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"000001.parquet"}
    first, third = (labels for key, labels in read_labels(root, LABEL_SET) if key.startswith(("walk1", "walk3")))
    np.testing.assert_array_equal(third.tracks_px, first.tracks_px)  # of the same video
    plan = plan_audit(AuditingConfig(root=str(root), label_set=LABEL_SET, executor=INLINE))
    assert (plan.audit.name, plan.shards, plan.missing) == (LABEL_SET, (0, 1), (1,))
