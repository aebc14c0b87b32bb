import math

import numpy as np

from trainer.data.colours import colour_matrix, draw_colour_matrix, recolour
from trainer.data.config import AS_STORED, AugmentConfig

GREY = np.full((1, 2, 3, 3), 90, np.uint8)


def test_no_change_is_the_identity():
    np.testing.assert_allclose(colour_matrix(1, 1, 1, 0), np.eye(3, 4), atol=1e-12)
    assert recolour(GREY, draw_colour_matrix(AS_STORED, np.random.default_rng(0))) is GREY


def test_greys_stay_grey_under_saturation_and_hue():
    np.testing.assert_array_equal(recolour(GREY, colour_matrix(1, 1, 0.3, 0.7)), GREY)


def test_a_third_of_a_turn_exchanges_the_colours():
    turned = colour_matrix(1, 1, 1, 2 * math.pi / 3)[:, :3] @ [10.0, 20.0, 30.0]
    assert sorted(turned.round(9).tolist()) == [10, 20, 30]
    assert turned.round(9).tolist() != [10, 20, 30]


def test_brightness_and_contrast_by_hand():
    assert (recolour(GREY, colour_matrix(1.5, 1, 1, 0)) == 135).all()
    assert (recolour(GREY, colour_matrix(1, 0.6, 1, 0)) == 105).all()  # 127.5 + 0.6 (90 - 127.5)
    assert (recolour(GREY, colour_matrix(4, 1, 1, 0)) == 255).all()
    colour = np.array([[[[200, 100, 50]]]], np.uint8)
    np.testing.assert_allclose(recolour(colour, colour_matrix(1, 1, 0, 0))[0, 0, 0], 0.299 * 200 + 0.587 * 100 + 0.114 * 50, atol=0.6)


def test_one_change_for_all_frames():
    frames = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3)).astype(np.uint8).repeat(3, 0)
    changed = recolour(frames, draw_colour_matrix(AugmentConfig(), np.random.default_rng(1)))
    assert (changed == changed[:1]).all()
    assert (changed != frames).any()
