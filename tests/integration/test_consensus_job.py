"""Label sets fused by the job: rendered clips from labels to a stream, rows of clips that some sets lack, resuming, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.fusing.job import ConsensusConfig, ConsensusOutcome, fuse_dataset
from jobs.labeling import shards
from pipeline.audit.calibrating.records import read_calibration
from pipeline.audit.stored.audit_rows import iterate_audit_shard
from pipeline.audit.stored.audit_set import AuditSet, claim_audit, read_audit_set
from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.audit.verdict import verdict_of
from pipeline.errors import ConfigError
from pipeline.labels import read_label_set, read_label_shard, read_labels
from pipeline.metrics.label_comparison import match_true_queries
from pipeline.records import TrackLabels
from pipeline.shards.index import read_index
from pipeline.shards.track_truth import read_track_truth
from pipeline.stream import ClipStream, StreamConfig
from tests.audited_clips import clip_of, tracks_of, write_audit_shard
from tests.labelled_dataset import LabelledClip, write_dataset

INLINE = ("--executor", "inline")
TRUTH = ("--query-policy", "truth", "--queries", 130)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def rendered(root: Path, run_job: Callable, seed: int) -> None:
    size = ("--clip-frames", 16, "--height", 96, "--width", 128, "--queries", 130)
    run_job("synthesize.py", "--root", root, "--domain", "planes", "--num-clips", 3, "--seed", seed, "--clips-per-shard", 2, *size, *INLINE)


def labelled(root: Path, run_job: Callable, *arguments: object) -> str:
    return run_job("pseudolabel.py", "--root", root, *TRUTH, "--labeler", *arguments, *INLINE).stdout.splitlines()[-1]


def audited(root: Path, run_job: Callable, name: str) -> None:
    run_job("audit.py", "run", "--root", root, "--labels", name, "--no-gate", *INLINE)


def words(names: list[str]) -> list[str]:
    return [word for name in names for word in ("--labels", name)]


def asked(root: Path, names: list[str], **options: object) -> ConsensusConfig:
    return ConsensusConfig(root=str(root), labels=tuple(names), executor=Executor(name="inline", limits=Limits()), **options)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, run_job) -> tuple[Path, list[str]]:
    """Rendered clips in two shards, with audited labels of dis-flow, of a variant of it, and of lucas-kanade."""
    root = tmp_path_factory.mktemp("consensus") / "root"
    rendered(root, run_job, 1)
    names = [labelled(root, run_job, *each) for each in (("dis-flow",), ("dis-flow", "--option", "jumps=[1,2,4]"), ("lucas-kanade",))]
    for name in names:
        audited(root, run_job, name)
    return root, names


def median_error(root: Path, name: str) -> float:
    """Over visible points of all clips, in pixels."""
    labels, errors = dict(read_labels(root, name)), []
    for entry in (entry for shard in (0, 1) for entry in read_index(str(root), shard)):
        truth, found = read_track_truth(str(root), entry), labels[entry.key]
        true = truth.chosen(match_true_queries(found.queries, truth))
        errors.append(np.linalg.norm(found.tracks_px - true.tracks_px, axis=-1)[true.seen])
    return float(np.median(np.concatenate(errors)))


def test_three_sets_make_one_that_is_audited_and_streamed(dataset, run_job):
    root, names = dataset
    said = run_job("consensus.py", "--root", root, *words(names), *INLINE).stdout
    name = said.splitlines()[-1]
    assert "dis-flow (2 sets), lucas-kanade (1 set); by the weights of their audits" in said
    assert f"evaluate.py labels --root {root} --labels {name}" in said
    made = read_label_set(str(root), name)
    assert name.startswith("consensus-")
    assert [parent["name"] for parent in made.configuration["parents"]] == names
    trust = [member["trust"] for member in made.configuration["options"]["members"]]
    assert trust == [read_audit_set(str(root), each).weights for each in names]
    fused = dict(read_labels(root, name))
    assert len(fused) == 3
    for key, labels in dict(read_labels(root, names[0])).items():
        np.testing.assert_array_equal(fused[key].queries, labels.queries)
    assert median_error(root, name) < max(median_error(root, each) for each in names)
    audited(root, run_job, name)
    assert read_audit_set(str(root), name).calibration is None
    kept = StreamConfig(root=root, audit=name, audit_keeps=("keep", "quarantine"), num_frames=None, epochs=1)
    samples = list(ClipStream(kept))
    assert len(samples) == 3
    for sample in samples:
        np.testing.assert_array_equal(sample.tracks2d, fused[sample.key].tracks_px)
        assert sample.track_weights.shape == (len(fused[sample.key].queries),)
    retrack = ("--name", "again", "--cycle", "retrack", "--no-gate")
    refused = run_job("audit.py", "run", "--root", root, "--labels", name, *retrack, *INLINE, code=2)
    assert "a consensus is fused from other labels" in refused.stderr


def test_a_job_killed_between_commits_ends_with_the_bytes_of_an_undisturbed_one(dataset, published, monkeypatch):
    root, names = dataset
    config = asked(root, names, agree_px=3.0)
    directory = root / "labels" / fuse_dataset(config, dry_run=False).label_set.name
    whole = published(directory)
    assert {"label_set.json", "000000.parquet", "000001.parquet"} <= {*whole}
    for path in directory.iterdir():
        path.unlink()
    write, calls = shards.write_label_tables, []

    def killed(*arguments: object, **options: object) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_label_tables", killed)
        with pytest.raises(KeyboardInterrupt):
            fuse_dataset(config, dry_run=False)
    assert len(published(directory)) == len(whole) - 1
    again = fuse_dataset(config, dry_run=False)
    assert (again.num_shards, again.already_done) == (1, 1)
    assert published(directory) == whole
    assert fuse_dataset(config, dry_run=False).num_shards == 0


def test_a_calibration_is_fitted_on_a_consensus_and_weighs_another_of_its_kind(dataset, run_job, tmp_path):
    root, (flow, _, points) = dataset
    other = tmp_path / "other"
    rendered(other, run_job, 2)
    assert {labelled(other, run_job, labeler) for labeler in ("dis-flow", "lucas-kanade")} == {flow, points}
    fused = {
        run_job("consensus.py", "--root", each, *words([flow, points]), "--equal-votes", *INLINE).stdout.split()[-1]
        for each in (root, other)
    }
    (name,) = fused
    for each in (root, other):
        audited(each, run_job, name)
    record = tmp_path / "consensus.json"
    run_job("audit.py", "calibrate", "--root", root, "--labels", name, "--held-out", other, "--out", record)
    found = read_calibration(str(record))
    assert (found.labeler, found.options["votes"], found.held_out.suite.num_clips) == ("consensus", "equal", 3)
    weighed = ("--labels", name, "--name", "weighed", "--calibration", record, "--no-gate")
    run_job("audit.py", "run", "--root", other, *weighed, *INLINE)
    assert read_audit_set(str(other), "weighed").weights == found.calibration.version
    clips = [clip for shard in (0, 1) for clip in iterate_audit_shard(str(other), "weighed", shard)]
    assert all(clip.tracks.bad_probability is not None for clip in clips)


SIZE = (3, 32, 64)


def tracks(x: float, queries: np.ndarray | None = None) -> TrackLabels:
    """Four tracks that stand still, `x` pixels right of their queries."""
    queries = np.array([[0, 8, 8], [0, 24, 8], [1, 8, 24], [2, 24, 24]], np.float32) if queries is None else queries
    still = np.repeat(queries[None, :, 1:], SIZE[0], axis=0) + np.array([x, 0], np.float32)
    return TrackLabels(queries=queries, tracks_px=still.astype(np.float32), visibility=np.ones(still.shape[:2], bool))


def write_sets(root: Path, more: dict[str, dict[str, TrackLabels | None]] | None = None) -> list[str]:
    """Sets of the labelers a, b and c on the clips x, y and z of one shard; `more` replaces labels, None is a failure."""
    grey, names = np.zeros(SIZE, np.uint8), []
    for labeler, offset in (("a", 0.0), ("b", 1.0), ("c", 20.0)):
        found = {key: tracks(offset) for key in "xyz"} | (more or {}).get(labeler, {})
        clips = [
            LabelledClip(key=key, grey=grey, labels=labels, status="ok" if labels is not None else "failed")
            for key, labels in found.items()
        ]
        names.append(write_dataset(root, [[*clips, LabelledClip(key="uncut")]], labeler=labeler, license=f"licence of {labeler}"))
    return names


def entries(root: Path, outcome: ConsensusOutcome) -> dict[str, tuple[str, str | None]]:
    """Status of every clip, and what its row says of it."""
    shard = read_label_shard(str(root), outcome.label_set.name, 0)
    return {key: (entry.status, entry.error or entry.notes) for key, entry in shard.entries.items()}


def test_a_clip_that_sets_lack_is_fused_from_two_or_its_row_says_why(tmp_path):
    more = np.vstack([tracks(0).queries, [[1, 2, 2]]]).astype(np.float32)
    names = write_sets(tmp_path, {"a": {"x": tracks(0, more)}, "b": {"y": None, "z": None}, "c": {"z": None}})
    outcome = fuse_dataset(asked(tmp_path, names, equal_votes=True), dry_run=False)
    totals = outcome.totals
    assert (totals.ok, totals.degraded, totals.screened, totals.failed) == (2, 2, 1, 1)
    found, labels = entries(tmp_path, outcome), dict(read_labels(tmp_path, outcome.label_set.name))
    assert found["x"] == ("ok", "1 tracks left out, which one vote alone has")
    np.testing.assert_allclose(labels["x"].tracks_px, tracks(0.5).tracks_px)
    assert found["y"] == ("ok", f"fused without {names[1]}: failed (the labeler gave up)")
    np.testing.assert_allclose(labels["y"].tracks_px, tracks(0).tracks_px)  # a and c are far apart: the first is believed
    np.testing.assert_allclose(labels["y"].confidence, 0.25, atol=0.01)
    status, reason = found["z"]
    assert status == "screened"
    assert reason.startswith(f"1 of the votes have tracks of it, expected 2 or more; {names[1]}: failed")
    assert "not cut" in found["uncut"][1]
    assert outcome.label_set.license == "licence of a; licence of b; licence of c"


def write_audit(root: Path, name: str, weights: dict[str, float | None], *, audit: str | None = None) -> None:
    """An audit that gives all tracks of a clip one weight; None: it measured none of its tracks."""
    identity = {"labeler": "a", "checkpoint_sha256": None, "measures": "m", "weights": "w", "rules": {}, "screen": None}
    claim_audit(str(root), AuditSet(name=audit or name, label_set=name, calibration=None, cycle="none", **identity))
    clips, labels = [], tracks(0)
    for entry in read_index(str(root), 0):
        weight = weights.get(entry.key)
        if entry.record is None or weight is None:
            clips.append(ClipAudit(key=entry.key, verdict=verdict_of(["unreadable"]), error="because"))
            continue
        judged = tracks_of(4, SIZE[0], queries=labels.queries, weight=np.full(4, weight, np.float32))
        clips.append(replace(clip_of(entry.key, tracks=judged), clip_sha256=entry.record.sha256))
    write_audit_shard(str(root), audit or name, 0, clips)


def test_the_audits_say_whom_to_believe_and_a_clip_that_one_could_not_measure_is_fused_without_it(tmp_path):
    a, b, c = write_sets(tmp_path)
    write_audit(tmp_path, a, {"x": 0.3, "y": 0.6, "z": 0.5})
    write_audit(tmp_path, c, {"x": 0.9, "y": 0.2, "z": 0.5}, audit="mine")
    with pytest.raises(ConfigError, match=rf"the tracks {c} have no audit .* run jobs/audit.py run --root .* with --equal-votes"):
        fuse_dataset(asked(tmp_path, [a, c]), dry_run=True)
    labels = dict(read_labels(tmp_path, fuse_dataset(asked(tmp_path, [a, c], audits=("mine",)), dry_run=False).label_set.name))
    for key, believed, confidence in (("x", 20, 0.5 * 0.9 / 1.2), ("y", 0, 0.5 * 0.6 / 0.8), ("z", 0, 0.25)):
        np.testing.assert_allclose(labels[key].tracks_px, tracks(believed).tracks_px)
        np.testing.assert_allclose(labels[key].confidence, confidence, atol=1 / 255)
    write_audit(tmp_path, b, {"x": None, "y": 0.5, "z": 0.5})
    outcome = fuse_dataset(asked(tmp_path, [a, b, c], audits=("mine",)), dry_run=False)
    assert entries(tmp_path, outcome)["x"] == ("ok", f"fused without {b}: its audit measured no track")
    assert entries(tmp_path, outcome)["y"] == ("ok", None)


def test_what_is_no_consensus_is_refused(tmp_path):
    a, b, c = write_sets(tmp_path)
    variant = write_dataset(
        tmp_path, [[LabelledClip(key=key, status="failed") for key in ("x", "y", "z", "uncut")]], labeler="a", precision="p"
    )
    fused = fuse_dataset(asked(tmp_path, [a, b], equal_votes=True), dry_run=False).label_set.name
    write_audit(tmp_path, a, {}, audit="of-a")
    for names, options, message in (
        ([a], {}, "name two label sets or more"),
        ([a, b, a], {}, "each of them once"),
        ([a, "nobody-1a2b3c4d"], {}, "no label set 'nobody-1a2b3c4d'"),
        ([a, fused], {}, f"label set {fused} is a consensus: .* name the sets that it was made from"),
        ([a, variant], {"equal_votes": True}, "are all of a: variants of one labeler .* add a label set of another labeler"),
        ([b, c], {"audits": ("of-a",)}, f"--audit of-a judged {a}, which is not among --labels"),
        ([a, b], {"audits": ("of-a",), "equal_votes": True}, "--audit is for votes by trust"),
        ([a, b], {"agree_px": 0.0}, "--agree-px is 0.0, expected above 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            fuse_dataset(asked(tmp_path, names, **options), dry_run=True)


def test_sets_of_other_queries_are_refused_and_a_single_clip_of_them_is_a_failed_row(tmp_path):
    moved = tracks(0, tracks(0).queries + np.array([0, 1, 0], np.float32))
    a, b, _ = write_sets(tmp_path / "all", {"b": dict.fromkeys("xyz", moved)})
    with pytest.raises(ConfigError, match=r"no two votes have a query in common in x .* label them with the same --queries"):
        fuse_dataset(asked(tmp_path / "all", [a, b], equal_votes=True), dry_run=True)
    a, b, _ = write_sets(tmp_path / "one", {"b": {"y": moved}})
    outcome = fuse_dataset(asked(tmp_path / "one", [a, b], equal_votes=True), dry_run=False)
    status, reason = entries(tmp_path / "one", outcome)["y"]
    assert status == "failed"
    assert "no two of its votes (a, b) have a query in common" in reason
    assert (outcome.totals.ok, outcome.totals.failed) == (2, 2)
