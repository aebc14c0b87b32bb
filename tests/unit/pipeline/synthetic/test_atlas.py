import numpy as np

from pipeline.synthetic.atlas import TextureAtlas

FINE = np.float32(1e-6)


def sample(atlas: TextureAtlas, texture: int, uv: list[list[float]], footprint: float = FINE) -> np.ndarray:
    return atlas.sample(np.full(len(uv), texture), np.array(uv, np.float32), np.full(len(uv), footprint, np.float32))


def make_halves() -> np.ndarray:
    """Left half white, right half black."""
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, :8] = 255
    return image


def test_texel_centres_give_their_own_colour_and_the_middle_between_two_their_mean() -> None:
    image = np.full((16, 16, 3), 0, np.uint8)
    image[5, 3] = 255
    atlas = TextureAtlas([image])
    found = sample(atlas, 0, [[3.5 / 16, 5.5 / 16], [4.5 / 16, 5.5 / 16], [4 / 16, 5.5 / 16]])
    np.testing.assert_allclose(found[:2, 0], [1, 0], atol=1e-3)
    assert abs(found[2, 0] - 0.25) < 0.01  # half way in the stored gamma 2


def test_textures_repeat_and_do_not_mix_with_their_neighbours() -> None:
    halves, grey = make_halves(), np.full((16, 16, 3), 128, np.uint8)
    atlas = TextureAtlas([halves, grey])
    uv = [[0.03, 0.2], [0.3, 0.999], [0.6, 0.001], [0.99, 0.5]]
    shifted = [[u + 3, v - 2] for u, v in uv]
    np.testing.assert_allclose(sample(atlas, 0, uv), sample(atlas, 0, shifted), atol=0.02)
    np.testing.assert_allclose(sample(atlas, 1, uv), (128 / 255) ** 2.2, atol=5e-3)
    np.testing.assert_allclose(sample(atlas, 0, [[0.0, 0.5], [1.0, 0.5]])[:, 0], 0.25, atol=0.01)  # black of the right edge meets white


def test_a_wide_footprint_sees_the_mean_light() -> None:
    found = sample(TextureAtlas([make_halves()]), 0, [[0.25, 0.5], [0.75, 0.5]], footprint=4.0)
    np.testing.assert_allclose(found, 0.5, atol=0.02)
