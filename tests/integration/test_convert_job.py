"""jobs/convert.py on a small dataset in Kubric's layout: shards, checks, and what a killed run and a wrong download come to."""

import json

import numpy as np
import pytest

KILLED = 137
FOCAL, WALL_M = 60.0, 4.0  # of the clips that write_kubric writes


@pytest.fixture(scope="module")
def kubric(tmp_path_factory, write_kubric):
    folder = tmp_path_factory.mktemp("kubric")
    for seed in range(3):
        write_kubric(folder / f"{seed:04d}", seed)
    return folder


def arguments(kubric, root, *more) -> tuple:
    return ("kubric", kubric, "--root", root, "--clip-frames", 6, "--clips-per-shard", 2, "--executor", "inline", *more)


@pytest.fixture(scope="module")
def undisturbed(kubric, tmp_path_factory, run_job, published):
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    done = run_job("convert.py", *arguments(kubric, root))
    return root, done.stdout, published(root)


def test_six_clips_with_their_truth_lie_in_three_shards(undisturbed):
    from pipeline.stream import ClipStream, StreamConfig

    root, shown, _ = undisturbed
    samples = list(ClipStream(StreamConfig(root=str(root), num_frames=None, epochs=1)))
    assert len(samples) == 6
    for sample in samples:
        step = 0.05 * (1 + int(sample.source)) / WALL_M * FOCAL
        np.testing.assert_allclose(np.diff(sample.tracks2d, axis=0), np.broadcast_to((-step, 0), sample.tracks2d[1:].shape), atol=1e-3)
        np.testing.assert_allclose(sample.depth, WALL_M, atol=2e-3)
        assert sample.supervision == "metric"
        assert sample.license == "Apache-2.0 (CoTracker3_Kubric)"
    assert "6, 36 frames in all, in 3 shards" in shown
    assert "none failed" in shown
    checks = json.loads((root / "checks.json").read_text())["checks"]
    assert {check["name"]: check["failed"] for check in checks}["projection"] == 0


@pytest.mark.parametrize(
    ("point", "count"),
    [
        ("before publishing", 1),
        ("between publishing and commit", 1),
        ("in the middle of a tar", 4),
    ],
)
def test_a_killed_conversion_continues_to_the_same_bytes(point, count, kubric, undisturbed, tmp_path, run_job, published):
    root = tmp_path / "root"
    run_job("convert.py", *arguments(kubric, root), through=(point, str(count)), code=KILLED)
    assert published(root).keys() != undisturbed[2].keys()  # the kill did interrupt something
    run_job("convert.py", *arguments(kubric, root))
    assert published(root) == undisturbed[2]


def test_running_again_changes_nothing(kubric, undisturbed, run_job, published):
    root, _, before = undisturbed
    run_job("convert.py", *arguments(kubric, root))
    assert published(root) == before


def test_a_dry_run_plans_and_estimates_and_writes_no_shard(kubric, tmp_path, run_job):
    root = tmp_path / "root"
    done = run_job("convert.py", *arguments(kubric, root, "--dry-run"))
    assert "CPU hours, from the first clip" in done.stdout
    assert (root / "plan/000000.parquet").exists()
    assert not (root / "shards").exists()


def test_a_wrong_convention_is_named_and_too_many_of_them_end_the_job_with_3(tmp_path, run_job, write_kubric):
    write_kubric(tmp_path / "kubric" / "0000", 0)
    write_kubric(tmp_path / "kubric" / "0001", 1)
    data = np.load(tmp_path / "kubric" / "0001" / "0001.npy", allow_pickle=True).item()
    np.save(tmp_path / "kubric" / "0001" / "0001.npy", {**data, "coords": data["coords"] + 0.5}, allow_pickle=True)
    done = run_job("convert.py", *arguments(tmp_path / "kubric", tmp_path / "root"), code=3)
    assert "half_pixel_shift: projection is 0.7071" in done.stderr
    assert "2 FAILED (2 half_pixel_shift)" in done.stdout
    run_job("convert.py", *arguments(tmp_path / "kubric", tmp_path / "other", "--accept", "half_pixel_shift"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--accept", "nothing"), "--accept nothing: no such finding"),
        (("--clip-frames", "2"), "below --min-frames"),
        (("--option", "speed=3"), "dataset kubric has no option speed"),
    ],
)
def test_bad_usage_is_explained(more, message, kubric, tmp_path, run_job):
    assert message in run_job("convert.py", *arguments(kubric, tmp_path / "root", *more), code=2).stderr


def test_another_download_under_the_same_root_is_refused(kubric, undisturbed, tmp_path, run_job, write_kubric):
    write_kubric(tmp_path / "kubric" / "0009", 1)
    done = run_job("convert.py", *arguments(tmp_path / "kubric", undisturbed[0]), code=2)
    assert "was made with other inputs or options" in done.stderr
