from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.metrics.similarity import umeyama

GOLDEN = Path(__file__).parents[3] / "golden" / "metrics"
QUARTER_TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # x to y, about z
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_a_known_turn_scale_and_shift_are_found() -> None:
    # by hand: the corner (1, 0, 0) turns to (0, 1, 0), doubles to (0, 2, 0) and moves to (5, 2, -1)
    target = np.array([[5.0, 0, -1], [5, 2, -1], [3, 0, -1], [5, 0, 1]])
    fit = umeyama(CORNERS, target)
    np.testing.assert_allclose(fit.rotation, QUARTER_TURN, atol=1e-12)
    np.testing.assert_allclose(fit.translation, [5, 0, -1], atol=1e-12)
    assert fit.scale == pytest.approx(2)
    assert fit.degenerate is None
    np.testing.assert_allclose(fit.apply(CORNERS), target, atol=1e-12)


def test_without_scale_the_motion_is_rigid() -> None:
    fit = umeyama(CORNERS, 3 * CORNERS @ QUARTER_TURN.T, with_scale=False)
    assert fit.scale == 1
    np.testing.assert_allclose(fit.rotation, QUARTER_TURN, atol=1e-12)


def test_a_mirror_image_is_met_by_a_rotation_and_a_smaller_scale() -> None:
    # covariance diag(-3, 2, 1) / 6 at a mean squared radius of 1: the smallest singular value changes its sign, scale (3 + 2 - 1) / 6
    source = np.repeat(np.diag(np.sqrt([1.5, 1, 0.5])), 2, axis=0) * np.array([1.0, -1] * 3)[:, None]
    fit = umeyama(source, source * [-1, 1, 1])
    assert np.linalg.det(fit.rotation) == pytest.approx(1)
    np.testing.assert_allclose(fit.rotation, np.diag([-1.0, 1, -1]), atol=1e-12)
    assert fit.scale == pytest.approx((3 + 2 - 1) / 6)


def test_no_other_similarity_fits_noisy_points_better() -> None:
    rng = np.random.default_rng(5)
    source, target = rng.normal(size=(2, 12, 3))
    fit = umeyama(source, target)
    best = np.square(fit.apply(source) - target).sum()
    for _ in range(20):
        turn = np.linalg.qr(np.eye(3) + 0.01 * rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.diag(turn))[:, None]
        nearby = (fit.scale * (1 + 0.01 * rng.normal())) * source @ (turn @ fit.rotation).T + fit.translation + 0.01 * rng.normal(size=3)
        assert np.square(nearby - target).sum() > best


def test_weights_count_as_repetitions_and_weight_zero_hides_a_row() -> None:
    rng = np.random.default_rng(6)
    source, target = rng.normal(size=(2, 5, 3))
    repeated = umeyama(np.concatenate([source, source[:2]]), np.concatenate([target, target[:2]]))
    weighted = umeyama(
        np.concatenate([source, [[np.nan] * 3]]), np.concatenate([target, [[9.0] * 3]]), weights=np.array([2, 2, 1, 1, 1, 0])
    )
    np.testing.assert_allclose(weighted.rotation, repeated.rotation, atol=1e-12)
    np.testing.assert_allclose(weighted.translation, repeated.translation, atol=1e-12)
    assert weighted.scale == pytest.approx(repeated.scale)


def test_points_on_a_line_or_in_one_place_are_called_degenerate() -> None:
    along = np.outer(np.arange(6.0), [0.3, -0.7, 0.2])
    spread = np.random.default_rng(7).normal(size=(6, 3))
    assert "one line" in str(umeyama(along, spread).degenerate)
    assert "one line" in str(umeyama(1000 * along, 1000 * along).degenerate)
    still = umeyama(np.ones((6, 3)), spread)
    assert "coincide" in str(still.degenerate)
    assert np.isnan(still.scale)
    assert umeyama(spread * [1, 1, 0], spread * [1, 1, 0]).degenerate is None  # a plane is enough


def test_no_points_give_nan_and_a_reason() -> None:
    nothing = umeyama(np.zeros((0, 3)), np.zeros((0, 3)))
    assert nothing.degenerate == "there are no points to align"
    assert np.isnan(nothing.rotation).all()
    hidden = umeyama(CORNERS, CORNERS, weights=np.zeros(4))
    assert hidden.degenerate is not None


@pytest.mark.parametrize(
    "case", ["noisy_sim3", "exact_sim3", "identity", "very_noisy", "mirrored_positions", "three_frames", "planar_path"]
)
def test_alignments_of_camera_centres_equal_the_reference(case: str) -> None:
    with np.load(GOLDEN / "pose_ate_rpe.npz", allow_pickle=False) as golden:
        fit = umeyama(golden[f"{case}/in/pred_c2w"][:, :3, 3], golden[f"{case}/in/gt_c2w"][:, :3, 3])
        np.testing.assert_allclose(fit.rotation, golden[f"{case}/out/umeyama_R"], atol=1e-6)
        np.testing.assert_allclose(fit.translation, golden[f"{case}/out/umeyama_t"].ravel(), atol=1e-6)
        assert fit.scale == pytest.approx(float(golden[f"{case}/out/umeyama_s"]), abs=1e-6)


@pytest.mark.parametrize("case", ["noisy_sim3", "exact_sim3", "one_view_drifted", "mirrored", "dtu_like_mm", "few_points"])
def test_alignments_of_point_maps_equal_the_reference(case: str) -> None:
    with np.load(GOLDEN / "pointmap.npz", allow_pickle=False) as golden:
        mask = golden[f"{case}/in/mask"]
        fit = umeyama(golden[f"{case}/in/pred"][mask], golden[f"{case}/in/gt"][mask])
        np.testing.assert_allclose(fit.rotation, golden[f"{case}/out/umeyama_R"], atol=1e-6)
        np.testing.assert_allclose(fit.translation, golden[f"{case}/out/umeyama_t"].ravel(), atol=1e-6)
        assert fit.scale == pytest.approx(float(golden[f"{case}/out/umeyama_c"]), abs=1e-6)


def test_wrong_shapes_weights_and_values_are_refused() -> None:
    with pytest.raises(DataError, match="target"):
        umeyama(CORNERS, CORNERS[:3])
    with pytest.raises(DataError, match="negative"):
        umeyama(CORNERS, CORNERS, weights=np.array([1, 1, 1, -1]))
    with pytest.raises(DataError, match="NaN"):
        umeyama(CORNERS, CORNERS * np.nan)
