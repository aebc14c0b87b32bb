from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.relative_poses import RelativePoseErrors, draw_frames, relative_pose_errors, relative_pose_scores

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics" / "relpose_angular.npz"
POSES = [
    "noisy_small",
    "noisy_large",
    "identity",
    "scaled_translation",
    "global_sim3",
    "translation_sign_flipped_counts_as_correct",
    "gt_zero_translation",
    "both_zero_translation",
    "two_frames",
]


def make_errors(rotation_deg: list[float], translation_deg: list[float]) -> RelativePoseErrors:
    return RelativePoseErrors(
        rotation_deg=np.array(rotation_deg), translation_deg=np.array(translation_deg), static=np.zeros(len(rotation_deg), bool)
    )


def make_world_to_camera(translations: list[list[float]], turns_deg: list[float]) -> np.ndarray:
    poses = np.tile(np.eye(4), (len(translations), 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(np.outer(turns_deg, [0, 0, 1]), degrees=True).as_matrix()
    poses[:, :3, 3] = translations
    return poses


def assert_scores_equal_golden(errors: RelativePoseErrors, case: str) -> None:
    scores = relative_pose_scores([errors])
    with np.load(GOLDEN, allow_pickle=False) as golden:
        for tau in (5, 15, 30):
            for name in ("rra", "rta", "auc"):
                assert getattr(scores, name)[tau] == pytest.approx(golden[f"{case}/out/{name.upper()}_{tau}"] / 100, abs=1e-9), (name, tau)


@pytest.mark.parametrize("case", POSES)
def test_golden_pose_sets_are_met(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        errors = relative_pose_errors(golden[f"{case}/in/pred_w2c"], golden[f"{case}/in/gt_w2c"])
        np.testing.assert_allclose(errors.rotation_deg, golden[f"{case}/out/rot_err_deg"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(errors.translation_deg, golden[f"{case}/out/trans_err_deg"], rtol=0, atol=1e-4)
    assert_scores_equal_golden(errors, case)
    assert errors.static.all() == case.endswith("zero_translation")


def test_golden_thresholds_and_bins_are_met() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        errors = make_errors(list(golden["raw_errors/in/rot_err_deg"]), list(golden["raw_errors/in/trans_err_deg"]))
        assert set(golden["cases"]) == {*POSES, "raw_errors"}
    assert_scores_equal_golden(errors, "raw_errors")


def test_angles_of_one_pair_worked_by_hand() -> None:
    # camera 0 is the world; the true camera 1 turns by 10 degrees about z and has translation x, the predicted one by 25 and has x + y
    true = make_world_to_camera([[0, 0, 0], [2, 0, 0]], [0, 10])
    predicted = make_world_to_camera([[0, 0, 0], [7, 7, 0]], [0, 25])
    errors = relative_pose_errors(predicted, true)
    assert errors.rotation_deg == pytest.approx([15])
    assert errors.translation_deg == pytest.approx([45])


def test_relative_poses_are_taken_from_world_to_camera() -> None:
    # moving the world changes no relative pose; reading camera-to-world matrices instead would
    rng = np.random.default_rng(2)
    poses = make_world_to_camera(rng.normal(size=(4, 3)).tolist(), [0, 40, 80, 120])
    other = make_world_to_camera(rng.normal(size=(4, 3)).tolist(), [5, 30, 90, 100])
    world = make_world_to_camera([[3, -4, 5]], [33])[0]
    plain, moved = relative_pose_errors(other, poses), relative_pose_errors(other @ world, poses)
    np.testing.assert_allclose(moved.rotation_deg, plain.rotation_deg, atol=1e-5)
    np.testing.assert_allclose(moved.translation_deg, plain.translation_deg, atol=1e-5)
    inverse = relative_pose_errors(np.linalg.inv(np.linalg.inv(other) @ world), poses)
    assert np.abs(inverse.translation_deg - plain.translation_deg).max() > 1


def test_area_under_the_curve_worked_by_hand() -> None:
    # larger errors of the pairs: 0.5, 1.0, 2.5, 9 degrees; up to 3 degrees the shares below 1, 2, 3 are 1/4, 2/4, 3/4
    scores = relative_pose_scores([make_errors([0.5, 0], [0, 1.0]), make_errors([2.5, 9], [1, 1])], thresholds_deg=[3])
    assert scores.auc[3] == pytest.approx((1 + 2 + 3) / 4 / 3)
    assert scores.rra[3] == pytest.approx(3 / 4)
    assert scores.rta[3] == 1
    assert scores.num_pairs == 4


def test_an_error_of_exactly_the_threshold_misses_the_rates_but_not_the_last_step_of_the_area() -> None:
    scores = relative_pose_scores([make_errors([30.0], [0.0])])
    assert scores.rra[30] == 0
    assert scores.auc[30] == pytest.approx(1 / 30)


def test_a_lost_frame_makes_all_its_pairs_wrong_and_no_other() -> None:
    poses = make_world_to_camera([[0, 0, 0], [1, 0, 0], [0, 2, 0]], [0, 10, 20])
    lost = poses.copy()
    lost[1, 0, 3] = np.nan
    errors = relative_pose_errors(lost, poses)
    np.testing.assert_array_equal(errors.rotation_deg > 180, [True, False, True])
    np.testing.assert_array_equal(errors.translation_deg > 180, [True, False, True])
    assert relative_pose_scores([errors]).rra[5] == pytest.approx(1 / 3)


def test_static_pairs_are_counted() -> None:
    poses = make_world_to_camera([[1, 0, 0], [1, 0, 0], [0, 2, 0]], [0, 0, 0])
    assert relative_pose_scores([relative_pose_errors(poses, poses)]).num_static_pairs == 1


def test_one_frame_and_no_sequence_have_no_score_and_say_so() -> None:
    single = relative_pose_errors(np.eye(4)[None], np.eye(4)[None])
    for scores in (relative_pose_scores([single]), relative_pose_scores([])):
        assert np.isnan([scores.rra[5], scores.rta[15], scores.auc[30]]).all()
        assert set(scores.undefined) == {"rra", "rta", "auc"}


def test_frames_are_drawn_once_each_and_repeatably() -> None:
    drawn = draw_frames(25, np.random.default_rng(42))
    assert len(set(drawn.tolist())) == 10
    assert 0 <= drawn.min() <= drawn.max() < 25
    np.testing.assert_array_equal(drawn, draw_frames(25, np.random.default_rng(42)))
    with pytest.raises(DataError, match="9 frames"):
        draw_frames(9, np.random.default_rng(42))


def test_wrong_input_is_refused() -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    with pytest.raises(DataError, match="predicted poses"):
        relative_pose_errors(poses[:2], poses)
    with pytest.raises(DataError, match="NaN"):
        relative_pose_errors(poses, poses * np.nan)
    with pytest.raises(ConfigError, match=r"2\.5"):
        relative_pose_scores([], thresholds_deg=[2.5])  # type: ignore[list-item]
    with pytest.raises(DataError, match="one length"):
        RelativePoseErrors(rotation_deg=np.zeros(2), translation_deg=np.zeros(3), static=np.zeros(2, bool))
