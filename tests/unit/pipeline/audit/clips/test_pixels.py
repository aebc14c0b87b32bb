"""What is summed up per pixel, and the bars and overlays read from it."""

import numpy as np
import pytest

from pipeline.audit.clips.borders import find_borders
from pipeline.audit.clips.overlay import overlay_share
from pipeline.audit.clips.small import PixelStatistics


def statistics_of(frames: np.ndarray) -> PixelStatistics:
    statistics = PixelStatistics(*frames.shape[1:])
    for frame in frames:
        statistics.add(frame)
    return statistics


def changing(num_frames: int = 8, size: tuple[int, int] = (40, 80)) -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (num_frames, *size)).astype(np.uint8)


def test_mean_and_deviation_are_those_of_the_whole_array():
    frames = changing()
    statistics = statistics_of(frames)
    np.testing.assert_allclose(statistics.mean(), frames.mean(axis=0))
    np.testing.assert_allclose(statistics.std(), frames.std(axis=0))
    np.testing.assert_allclose(statistics.row_max, frames.mean(axis=2).max(axis=0))


def test_bars_on_all_sides_are_shares_of_their_side():
    frames = changing()
    frames[:, :4] = frames[:, -8:] = 0
    frames[:, :, :2] = frames[:, :, -6:] = 16
    bars = find_borders(statistics_of(frames))
    assert (bars.top, bars.bottom, bars.left, bars.right) == (0.1, 0.2, 0.025, 0.075)
    assert bars.share == pytest.approx(1 - 28 * 72 / (40 * 80))


def test_a_bar_with_something_in_it_once_is_none():
    frames = changing()
    frames[:, :4] = 0
    frames[3, :4] = 200
    assert find_borders(statistics_of(frames)).top == 0.0


def test_a_dark_edge_that_flickers_is_no_bar():
    frames = changing()
    frames[::2, :4], frames[1::2, :4] = 0, 20  # deviation 10
    assert find_borders(statistics_of(frames)).top == 0.0


def test_all_black_and_a_single_frame_say_nothing_of_bars():
    assert np.isnan(find_borders(statistics_of(np.zeros((4, 8, 8), np.uint8))).share)
    assert np.isnan(find_borders(statistics_of(changing(num_frames=1))).share)


def test_a_clip_that_hardly_varies_says_nothing_of_overlays():
    statistics = statistics_of(np.repeat(changing(num_frames=1), 8, axis=0))
    assert np.isnan(overlay_share(statistics, find_borders(statistics)))


def test_the_edge_of_a_bar_is_no_overlay():
    frames = changing(num_frames=16)
    frames[:, :8] = 0
    statistics = statistics_of(frames)
    assert overlay_share(statistics, find_borders(statistics)) == 0.0
