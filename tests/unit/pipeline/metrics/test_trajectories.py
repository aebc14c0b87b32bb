from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.trajectories import trajectory_metrics

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "pose_ate_rpe.npz"
DEFINED = ["noisy_sim3", "exact_sim3", "identity", "very_noisy", "mirrored_positions", "three_frames", "planar_path"]
DEGENERATE = ["two_frames", "one_frame", "gt_static_camera", "pred_static_camera", "collinear_gt_exact", "collinear_gt_noisy"]


def make_poses(centres: np.ndarray, turns_deg: np.ndarray | float = 0.0) -> np.ndarray:
    """Camera-to-world poses at `centres` "T 3", turned about the vertical axis."""
    poses = np.tile(np.eye(4), (len(centres), 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(np.outer(np.broadcast_to(turns_deg, len(centres)), [0, 1, 0]), degrees=True).as_matrix()
    poses[:, :3, 3] = centres
    return poses


def random_poses(num_frames: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    poses = make_poses(rng.normal(size=(num_frames, 3)))
    poses[:, :3, :3] = Rotation.from_rotvec(rng.normal(size=(num_frames, 3))).as_matrix()
    return poses


@pytest.mark.parametrize("case", DEFINED)
def test_golden_cases_are_met(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        measured = trajectory_metrics(golden[f"{case}/in/pred_c2w"], golden[f"{case}/in/gt_c2w"])
        for name in ("ate", "rpe_trans", "rpe_rot_deg"):
            assert getattr(measured, name) == pytest.approx(float(golden[f"{case}/out/{name}"]), abs=1e-6), name
    assert not measured.undefined


@pytest.mark.parametrize("case", DEFINED + DEGENERATE)
def test_golden_cases_without_alignment_are_met(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        measured = trajectory_metrics(golden[f"{case}/in/pred_c2w"], golden[f"{case}/in/gt_c2w"], align="none")
        assert measured.ate == pytest.approx(float(golden[f"{case}/out/ape_none_trans_rmse"]), abs=1e-6)
        assert measured.ape_rot_deg == pytest.approx(float(golden[f"{case}/out/ape_none_rot_deg_rmse"]), abs=1e-6)
        if case != "one_frame":
            assert measured.rpe_trans == pytest.approx(float(golden[f"{case}/out/rpe_none_trans_rmse"]), abs=1e-6)
            assert measured.rpe_rot_deg == pytest.approx(float(golden[f"{case}/out/rpe_none_rot_deg_rmse"]), abs=1e-6)


@pytest.mark.parametrize("case", DEGENERATE)
def test_where_the_reference_raises_ours_is_nan_with_a_reason_and_keeps_the_turn(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        assert "Degenerate" in str(golden[f"{case}/out/error"])
        measured = trajectory_metrics(golden[f"{case}/in/pred_c2w"], golden[f"{case}/in/gt_c2w"])
        if case != "one_frame":
            assert measured.rpe_rot_deg == pytest.approx(float(golden[f"{case}/out/rpe_none_rot_deg_rmse"]), abs=1e-6)
    assert np.isnan([measured.ate, measured.ape_rot_deg, measured.rpe_trans]).all()
    assert "cannot be aligned" in measured.undefined["ate"]
    assert ("rpe_rot_deg" in measured.undefined) == (case == "one_frame")
    assert measured.alignment is None


def test_all_cases_of_the_golden_file_are_covered() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        assert set(golden["cases"]) == set(DEFINED + DEGENERATE)


def test_unaligned_errors_worked_by_hand() -> None:
    # the truth walks 1 m per frame along x and does not turn; the prediction lies 0, 3, 4 m aside (in y) and turns by 0, 30, 30 degrees
    true = make_poses(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]))
    predicted = make_poses(np.array([[0.0, 0, 0], [1, 3, 0], [2, 4, 0]]), np.array([0.0, 30, 30]))
    measured = trajectory_metrics(predicted, true, align="none")
    assert measured.ate == pytest.approx(np.sqrt((0 + 9 + 16) / 3))
    assert measured.ape_rot_deg == pytest.approx(np.sqrt((0 + 900 + 900) / 3))
    assert measured.rpe_rot_deg == pytest.approx(np.sqrt((900 + 0) / 2))
    # step 1: (1, 3, 0) against (1, 0, 0), off by 3. Step 2: (1, 1, 0) in a camera turned by 30 degrees about y is (cos 30, 1, sin 30)
    second = (np.cos(np.pi / 6) - 1) ** 2 + 1 + np.sin(np.pi / 6) ** 2
    assert measured.rpe_trans == pytest.approx(np.sqrt((9 + second) / 2))


def test_a_similarity_of_the_prediction_changes_nothing_under_sim3() -> None:
    true, predicted = random_poses(9, 1), random_poses(9, 2)
    turn = Rotation.from_euler("xyz", [20, -50, 70], degrees=True).as_matrix()
    moved = predicted.copy()
    moved[:, :3, :3] = turn @ predicted[:, :3, :3]
    moved[:, :3, 3] = 7 * predicted[:, :3, 3] @ turn.T + [1, 2, 3]
    plain, changed = trajectory_metrics(predicted, true), trajectory_metrics(moved, true)
    for name in ("ate", "ape_rot_deg", "rpe_trans", "rpe_rot_deg"):
        assert getattr(changed, name) == pytest.approx(getattr(plain, name), rel=1e-9), name
    assert plain.alignment is not None
    assert changed.alignment is not None
    assert changed.alignment.scale == pytest.approx(plain.alignment.scale / 7)


def test_se3_does_not_forgive_a_wrong_scale() -> None:
    true = random_poses(9, 3)
    predicted = true.copy()
    predicted[:, :3, 3] *= 2
    assert trajectory_metrics(predicted, true).ate == pytest.approx(0, abs=1e-12)
    centred = true[:, :3, 3] - true[:, :3, 3].mean(axis=0)
    assert trajectory_metrics(predicted, true, align="se3").ate == pytest.approx(np.sqrt(np.square(centred).sum(axis=1).mean()))


def test_frames_without_a_true_pose_do_not_count() -> None:
    true, predicted = random_poses(8, 4), random_poses(8, 5)
    valid = np.array([True, True, True, False, True, True, False, True])
    gaps = true.copy()
    gaps[~valid] = np.nan
    measured = trajectory_metrics(predicted, gaps, valid=valid)
    assert (measured.num_frames, measured.num_pairs) == (6, 3)
    assert measured.ate == pytest.approx(trajectory_metrics(predicted[valid], true[valid]).ate)
    head = trajectory_metrics(predicted[:3], true[:3], align="none").rpe_rot_deg
    tail = trajectory_metrics(predicted[4:6], true[4:6], align="none").rpe_rot_deg
    assert measured.rpe_rot_deg == pytest.approx(np.sqrt((2 * head**2 + tail**2) / 3))


def test_a_prediction_of_nan_is_undefined_with_its_frame() -> None:
    true = random_poses(5, 6)
    predicted = true.copy()
    predicted[3, 0, 0] = np.nan
    measured = trajectory_metrics(predicted, true)
    assert np.isnan([measured.ate, measured.rpe_trans, measured.rpe_rot_deg]).all()
    assert "first 3" in measured.undefined["rpe_rot_deg"]


def test_no_frames_and_no_pairs_are_undefined_with_a_reason() -> None:
    nothing = trajectory_metrics(np.zeros((0, 4, 4)), np.zeros((0, 4, 4)))
    assert "no frame" in nothing.undefined["ate"]
    apart = trajectory_metrics(random_poses(5, 7), random_poses(5, 8), valid=np.array([True, False, True, False, True]))
    assert np.isfinite(apart.ate)
    assert np.isnan(apart.rpe_trans)
    assert set(apart.undefined) == {"rpe_trans", "rpe_rot_deg"}


def test_wrong_input_is_refused() -> None:
    poses = random_poses(4, 9)
    with pytest.raises(ConfigError, match="'scale'"):
        trajectory_metrics(poses, poses, align="scale")
    with pytest.raises(DataError, match="associate"):
        trajectory_metrics(poses[:3], poses)
    broken = poses.copy()
    broken[2, 1, 3] = np.inf
    with pytest.raises(DataError, match="frame 2"):
        trajectory_metrics(poses, broken)
