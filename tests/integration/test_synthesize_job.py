"""jobs/synthesize.py: synthetic clips with exact truth in shards, the same bytes however the work was cut up."""

import json
import os

import numpy as np
import pytest

KILLED = 137
FRAMES = 6


def arguments(root, *more, domain="studio") -> tuple:
    size = ("--clip-frames", FRAMES, "--height", 48, "--width", 64, "--queries", 60)
    return ("--root", root, "--domain", domain, "--num-clips", 4, "--seed", 7, "--executor", "inline", "--clips-per-shard", 2, *size, *more)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, run_job, published):
    root = tmp_path_factory.mktemp("studio") / "root"
    done = run_job("synthesize.py", *arguments(root))
    return root, done.stdout, published(root)


def test_clips_with_all_their_truth_can_be_streamed(undisturbed):
    from pipeline.stream import ClipStream, StreamConfig

    root, shown, _ = undisturbed
    samples = list(ClipStream(StreamConfig(root=str(root), num_frames=None, epochs=1)))
    assert sorted(sample.source for sample in samples) == [f"seed7/00000{number}" for number in range(4)]
    for sample in samples:
        assert sample.frames.shape == (FRAMES, 48, 64, 3)
        projected = np.einsum("tij,tnj->tni", sample.intrinsics, sample.tracks3d)
        error = np.abs(projected[..., :2] / projected[..., 2:] - sample.tracks2d)
        assert error[sample.track_valid].max() < 1e-3
        assert sample.visibility.any(axis=0).all()
        assert sample.is_metric
        assert sample.supervision == "metric"
        assert sample.license == "CC0 (synthetic, rendered by trackmill)"
        assert sample.extra["truth_for"] == "training"
        assert sample.dynamic_mask.any()
        np.testing.assert_array_equal(sample.sky_mask, sample.depth == 0)
    assert "4, 24 frames in all, in 2 shards" in shown
    assert "none failed" in shown
    checks = json.loads((root / "checks.json").read_text())["checks"]
    assert {check["name"]: check["failed"] for check in checks}["static_world"] == 0


@pytest.mark.parametrize(("point", "count"), [("between publishing and commit", 2), ("in the middle of a tar", 4)])
def test_a_killed_run_continues_to_the_same_bytes(point, count, undisturbed, tmp_path, run_job, published):
    root = tmp_path / "root"
    run_job("synthesize.py", *arguments(root), through=(point, str(count)), code=KILLED)
    assert published(root).keys() != undisturbed[2].keys()
    run_job("synthesize.py", *arguments(root))
    assert published(root) == undisturbed[2]


def test_the_number_of_threads_changes_no_byte(undisturbed, tmp_path, run_job, published, monkeypatch):
    another = "1" if os.environ.get("OMP_NUM_THREADS") == "2" else "2"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, another)
    run_job("synthesize.py", *arguments(tmp_path / "root"), alone=True)
    assert published(tmp_path / "root") == undisturbed[2]


def test_a_dry_run_estimates_from_one_clip(tmp_path, run_job):
    done = run_job("synthesize.py", *arguments(tmp_path / "root", "--dry-run", domain="wild"))
    assert "CPU hours, from the first clip" in done.stdout
    assert not (tmp_path / "root" / "shards").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--domain", "garden"), "'garden' is not one of"),
        (("--height", "47"), "64x47: expected even sides"),
        (("--num-clips", "0"), "0 clips of seed 7"),
    ],
)
def test_bad_usage_is_explained(more, message, tmp_path, run_job):
    assert message in run_job("synthesize.py", *arguments(tmp_path / "root", *more), code=2).stderr


def test_other_clips_under_the_same_root_are_refused(undisturbed, run_job):
    done = run_job("synthesize.py", *arguments(undisturbed[0], "--seed", "8"), code=2)
    assert str(undisturbed[0]) in done.stderr
