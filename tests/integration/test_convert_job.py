"""jobs/convert.py on a small dataset in Kubric's layout: shards, checks, and what a killed run and a wrong download come to."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

KILL_AT = str(Path(__file__).with_name("kill_at.py"))
KILLED = 137
T, H, W, FOCAL, WALL_M = 12, 48, 64, 60.0, 4.0


def write_sequence(folder: Path, seed: int) -> None:
    """A camera that slides along a painted wall 4 m ahead: every track moves by the same known step."""
    (folder / "frames").mkdir(parents=True)
    step = 0.05 * (1 + seed)
    picture = cv2.resize(
        np.random.default_rng(seed).integers(0, 255, (24, 60, 3)).astype(np.uint8), (240, 96), interpolation=cv2.INTER_CUBIC
    )
    rays = np.stack(np.meshgrid(np.arange(W) - (W - 1) / 2, np.arange(H) - (H - 1) / 2), -1) / FOCAL
    distance = np.full((H, W), WALL_M) * np.sqrt(1 + (rays**2).sum(-1))
    bounds = np.array([distance.min(), distance.max()])
    poses = np.tile(np.diag([1.0, -1, -1, 1]), (T, 1, 1))  # Blender's axes
    poses[:, 0, 3] = step * np.arange(T)
    start = np.stack(np.meshgrid(np.arange(4, W, 8), np.arange(4, H, 8)), -1).reshape(-1, 2)
    points = np.concatenate([(start - ((W - 1) / 2, (H - 1) / 2)) / FOCAL * WALL_M, np.full((len(start), 1), WALL_M)], -1)
    tracks = start[:, None] - np.stack([step * np.arange(T) / WALL_M * FOCAL, np.zeros(T)], -1)
    for index in range(T):
        left = index * step / WALL_M * FOCAL
        moved = cv2.warpAffine(picture, np.array([[1, 0, -left], [0, 1, -10.0]]), (W, H), flags=cv2.INTER_LINEAR)
        cv2.imwrite(str(folder / "frames" / f"{index:03d}.png"), moved)
        stored = np.round((distance - bounds[0]) / (bounds[1] - bounds[0]) * 65535).astype(np.uint16)
        cv2.imwrite(str(folder / "frames" / f"{index:03d}_depth.png"), stored)
    intrinsics = np.tile(np.array([[FOCAL / W, 0, -0.5], [0, -FOCAL / H, -0.5], [0, 0, -1]]), (T, 1, 1))
    data = {
        "coords": (tracks + 0.5).astype(np.float32),
        "occluded": ((tracks < -0.5) | (tracks > (W - 0.5, H - 0.5))).any(axis=-1),
        "traj_3d": np.repeat(points[:, None], T, axis=1),
        "depth_range": bounds,
        "intrinsics": intrinsics,
        "matrix_world": poses,
    }
    np.save(folder / f"{folder.name}.npy", data, allow_pickle=True)


@pytest.fixture(scope="module")
def kubric(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kubric")
    for seed in range(3):
        write_sequence(folder / f"{seed:04d}", seed)
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
    assert "6 of 36 frames in 3 shards" in shown
    assert "none failed" in shown
    checks = json.loads((root / "checks.json").read_text())["checks"]
    assert {check["name"]: check["failed"] for check in checks}["projection"] == 0


@pytest.mark.parametrize(
    ("point", "count"),
    [
        ("before publishing", 1),
        ("before publishing", 5),
        ("between publishing and commit", 1),
        ("between publishing and commit", 3),
        ("in the middle of a tar", 4),
    ],
)
def test_a_killed_conversion_continues_to_the_same_bytes(point, count, kubric, undisturbed, tmp_path, run_job, published):
    root = tmp_path / "root"
    run_job("convert.py", *arguments(kubric, root), through=(KILL_AT, point, str(count)), code=KILLED)
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
    assert (root / "plan.parquet").exists()
    assert not (root / "shards").exists()


def test_a_wrong_convention_is_named_and_too_many_of_them_end_the_job_with_3(tmp_path, run_job):
    write_sequence(tmp_path / "kubric" / "0000", 0)
    write_sequence(tmp_path / "kubric" / "0001", 1)
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


def test_another_download_under_the_same_root_is_refused(kubric, undisturbed, tmp_path, run_job):
    write_sequence(tmp_path / "kubric" / "0009", 1)
    done = run_job("convert.py", *arguments(tmp_path / "kubric", undisturbed[0]), code=2)
    assert "was made from other inputs or options" in done.stderr
