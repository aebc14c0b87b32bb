"""Cuts from correlations and survivals written by hand."""

import numpy as np
import pytest

from pipeline.audit.clips.cuts import colour_histogram, cut_frames, histogram_jump, thumb_correlation

NAN = float("nan")


def test_a_step_is_a_cut_only_where_both_tests_say_so():
    assert cut_frames([0.9, 0.1, 0.9], [0.1, 0.1], [0.9, 0.01, 0.9]) == (2,)
    assert cut_frames([0.9, 0.1, 0.9], [0.1, 0.1], [0.9, 0.5, 0.9]) == ()
    assert cut_frames([0.9, 0.7, 0.9], [0.1, 0.1], [0.9, 0.01, 0.9]) == ()


def test_an_unknown_survival_is_no_evidence():
    assert cut_frames([0.1], [], [NAN]) == ()


def test_a_scene_that_is_back_after_one_frame_was_not_cut():
    lost = [0.9, 0.0, 0.0, 0.9]  # frame 2 is blinded
    assert cut_frames(lost, [0.0, 0.9, 0.0], lost) == ()
    assert cut_frames(lost, [0.0, 0.1, 0.0], lost) == (2, 3)


def test_cuts_at_the_first_and_the_last_step_are_found():
    assert cut_frames([0.0, 0.9, 0.0], [0.0, 0.0], [0.0, 0.9, 0.0]) == (1, 3)
    assert cut_frames([0.0], [], [0.0]) == (1,)


def test_correlation_ignores_brightness_and_contrast_and_knows_flat_pictures():
    thumb = np.arange(24 * 32, dtype=np.float32).reshape(24, 32)
    flat = np.full((24, 32), 255, np.float32)
    assert thumb_correlation(thumb, 0.5 * thumb + 30) == pytest.approx(1.0)
    assert thumb_correlation(thumb, -thumb) == pytest.approx(-1.0)
    assert thumb_correlation(thumb, flat) == thumb_correlation(flat, thumb) == 0.0
    assert thumb_correlation(flat, flat - 255) == 1.0


def test_histograms_without_a_common_colour_are_one_apart():
    black, half = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    half[:2] = (255, 128, 0)
    assert histogram_jump(colour_histogram(black), colour_histogram(black)) == 0.0
    assert histogram_jump(colour_histogram(black), colour_histogram(half)) == 0.5
    assert histogram_jump(colour_histogram(black), colour_histogram(np.full((4, 4, 3), 255, np.uint8))) == 1.0
    assert colour_histogram(half)[7 * 64 + 4 * 8 + 0] == 0.5
