from collections.abc import Callable

import numpy as np
import pytest

from pipeline.synthetic import surfaces
from pipeline.synthetic.noise import cells, spectral_noise
from pipeline.synthetic.walk import street_textures


def seam_step(image: np.ndarray) -> float:
    """Mean step across the seam over the mean step between neighbours inside."""
    inside = np.abs(np.diff(image, axis=1)).mean()
    return float(np.abs(image[:, 0] - image[:, -1]).mean() / inside)


@pytest.mark.parametrize("make", [surfaces.leaves, surfaces.weathering, surfaces.clouds])
def test_surfaces_repeat_without_a_seam(make: Callable[[np.random.Generator, int], np.ndarray]) -> None:
    image = make(np.random.default_rng(1), 128)
    assert seam_step(image) < 1.6
    assert seam_step(image.swapaxes(0, 1)) < 1.6


def test_noise_is_standardised_and_a_stretched_grain_is_smoother_along_its_length() -> None:
    noise = spectral_noise(np.random.default_rng(0), 128, slope=1.2, stretch=(1, 8))
    assert abs(noise.mean()) < 1e-5
    assert abs(noise.std() - 1) < 1e-3
    assert np.abs(np.diff(noise, axis=0)).mean() < 0.6 * np.abs(np.diff(noise, axis=1)).mean()


def test_cells_touch_at_their_borders_only() -> None:
    found = cells(np.random.default_rng(0), 64, per_side=4)
    change = found.index[:, 1:] != found.index[:, :-1]
    assert set(np.unique(found.index)) == set(range(16))
    assert found.border[:, 1:][change].max() < 0.02  # a texel is 1/64 wide
    assert found.border.max() > 0.05


def test_street_textures_are_equal_for_an_equal_seed_and_all_show_detail() -> None:
    first, again = (street_textures(np.random.default_rng(4), 64) for _ in range(2))
    other = street_textures(np.random.default_rng(5), 64)
    for name, image in first.items():
        assert image.shape == (64, 64, 3), name
        np.testing.assert_array_equal(image, again[name], err_msg=name)
        assert image.astype(float).std() > 4, name
    assert any((image != other[name]).any() for name, image in first.items())
