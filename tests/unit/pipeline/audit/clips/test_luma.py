"""Brightness by hand."""

import numpy as np
import pytest

from pipeline.audit.clips.luma import FrameLuma, blank_share, exposure_step, frame_luma


def lumas(*means: float, std: float = 20.0) -> list[FrameLuma]:
    return [FrameLuma(mean=mean, std=std, dark_share=0.0) for mean in means]


def test_a_frame_half_black_and_half_white():
    grey = np.zeros((4, 4), np.uint8)
    grey[2:] = 200
    assert frame_luma(grey) == FrameLuma(mean=100.0, std=100.0, dark_share=0.5)


def test_the_dark_begins_below_thirty_two():
    assert frame_luma(np.array([[31, 32]], np.uint8)).dark_share == 0.5


def test_the_largest_relative_step_counts_in_either_direction():
    assert exposure_step(lumas(100, 110, 88, 90)) == pytest.approx(0.2)


def test_a_level_more_is_no_jump_in_the_dark():
    assert exposure_step(lumas(1, 2)) == 1 / 8
    assert np.isnan(exposure_step(lumas(100)))


def test_blank_frames_are_counted():
    assert blank_share([*lumas(10, 20, 30), *lumas(40, std=7.9)]) == 0.25
    assert np.isnan(blank_share([]))
