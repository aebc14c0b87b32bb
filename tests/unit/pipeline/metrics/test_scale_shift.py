from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.scale_shift import ScaleShift, fit_scale, fit_scale_shift

GOLDEN = Path(__file__).parents[3] / "golden" / "seeds" / "t4w_align.npz"


def test_the_golden_of_the_reference_is_met() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        fit = fit_scale_shift(golden["src"], golden["tgt"], weights=golden["weight"])
        assert fit.scale == pytest.approx(float(golden["scale"]), rel=1e-6)
        np.testing.assert_allclose(fit.shift, golden["shift"], rtol=1e-6)
        assert fit.objective == pytest.approx(float(golden["objective"]), rel=1e-6)
        assert fit.anchor == golden["anchor_index"]
        scale_only = fit_scale(golden["src"], golden["tgt"], weights=golden["weight"])
        assert scale_only.scale == pytest.approx(float(golden["scale_only"]), rel=1e-6)
        np.testing.assert_array_equal(scale_only.shift, np.zeros(3))


@pytest.mark.parametrize("truncation", [None, 0.2])
def test_a_fifth_of_wild_points_moves_nothing(truncation: float | None) -> None:
    rng = np.random.default_rng(1)
    source = rng.normal(0, 2, (50, 3))
    target = 1.7 * source + [3, -1, 2]
    target[::5] += rng.normal(0, 50, (10, 3))
    fit = fit_scale_shift(source, target, truncation=truncation)
    assert fit.scale == pytest.approx(1.7)
    np.testing.assert_allclose(fit.shift, [3, -1, 2], atol=1e-9)
    np.testing.assert_allclose(fit.apply(source[1:3]), target[1:3])


def test_the_truncated_fit_is_the_best_on_a_fine_grid_of_scales() -> None:
    rng = np.random.default_rng(2)
    source, target, weights = rng.normal(0, 1, (7, 3)), rng.normal(0, 1, (7, 3)), rng.uniform(0.2, 2, 7)
    fit = fit_scale_shift(source, target, weights=weights, truncation=0.3)
    scales = np.linspace(-30, 30, 60001)
    least = np.inf
    for anchor in range(7):
        x, y = source - source[anchor], target - target[anchor]
        residual = weights[:, None] * np.abs(scales[:, None, None] * x - y)
        least = min(least, np.minimum(residual, 0.3).sum(axis=(1, 2)).min())
    assert fit.objective <= least + 1e-12
    assert fit.objective == pytest.approx(least, abs=2e-3)


def test_of_two_equal_halves_the_lower_scale_is_taken() -> None:
    assert fit_scale(np.array([[1, 0, 0], [1, 0, 0]]), np.array([[3, 0, 0], [1, 0, 0]])).scale == 1


def test_a_point_of_weight_0_neither_counts_nor_anchors_whatever_it_holds() -> None:
    source = np.array([[np.nan] * 3, [0, 0, 0], [1, 0, 0], [0, 1, 0]])
    target = np.array([[9, 9, 9], [1, 1, 1], [3, 1, 1], [1, 3, 1]])
    fit = fit_scale_shift(source, target, weights=np.array([0, 1, 1, 1]))
    assert (fit.scale, fit.anchor) == (2, 1)
    np.testing.assert_array_equal(fit.shift, [1, 1, 1])


def test_many_points_are_fitted_in_chunks_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    source, target = rng.normal(0, 1, (2, 40, 3))
    whole = fit_scale_shift(source, target)
    monkeypatch.setattr("pipeline.metrics.scale_shift.CHUNK", 7 * source.size)
    chunked = fit_scale_shift(source, target)
    assert (chunked.scale, chunked.anchor, chunked.objective) == (whole.scale, whole.anchor, whole.objective)


@pytest.mark.parametrize(
    ("fit", "why"),
    [
        (fit_scale_shift(np.ones((4, 3)), np.eye(4, 3)), "all points of the source coincide"),
        (fit_scale_shift(np.eye(4, 3), np.ones((4, 3))), "all points of the target coincide"),
        (fit_scale_shift(np.ones((1, 3)), np.ones((1, 3))), "all points of the source coincide"),
        (fit_scale_shift(np.eye(3), np.eye(3), weights=np.zeros(3)), "there are no points to align"),
        (fit_scale(np.zeros((2, 3)), np.ones((2, 3))), "all points of the source are 0"),
        (fit_scale(np.ones((0, 3)), np.ones((0, 3))), "there are no points to align"),
    ],
)
def test_what_nothing_determines_is_nan_with_its_reason(fit: ScaleShift, why: str) -> None:
    assert fit.undefined == why
    assert np.isnan([fit.scale, *fit.shift, fit.objective]).all()


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="expected"):
        fit_scale_shift(np.ones((4, 3)), np.ones((3, 3)))
    with pytest.raises(DataError, match="weights hold"):
        fit_scale_shift(np.eye(3), np.eye(3), weights=np.array([1, -1, 1]))
    with pytest.raises(DataError, match="NaN or infinity"):
        fit_scale_shift(np.full((3, 3), np.inf), np.eye(3))
    with pytest.raises(ConfigError, match="truncation is 0"):
        fit_scale_shift(np.eye(3), np.eye(3), truncation=0)
