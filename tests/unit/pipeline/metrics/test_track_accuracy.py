import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.metrics.track_accuracy import TrackAccuracy, track_accuracy


def measure(errors_px: list[list[float]], visible: list[list[int]], *, size: int = 256) -> TrackAccuracy:
    """Rows are frames, columns tracks; errors along x."""
    errors = np.array(errors_px, float)
    truth = np.full((*errors.shape, 2), 20.0)
    return track_accuracy(truth + errors[..., None] * [1, 0], truth, true_visibility=np.array(visible, bool), height=256, width=size)


def test_a_small_case_worked_by_hand() -> None:
    # first seen in frame 1; frames 2, 3, 4 count: off by 0.5 (seen), 3 (hidden), 20 (seen)
    measured = measure([[99], [99], [0.5], [3], [20]], [[0], [1], [1], [0], [1]])
    assert measured.by_threshold == {1: 1 / 3, 2: 1 / 3, 4: 2 / 3, 8: 2 / 3, 16: 2 / 3}
    assert measured.accuracy == pytest.approx((2 * 1 + 3 * 2) / 15)
    assert measured.accuracy_visible == pytest.approx(1 / 2)
    assert measured.accuracy_occluded == pytest.approx(3 / 5)
    assert measured.undefined == {}


def test_a_track_is_lost_for_good_once_it_is_far_while_seen() -> None:
    # far while hidden is forgiven; far while seen is not, even if it comes back; survival counts all frames of all tracks
    measured = measure([[0, 0], [60, 60], [0, 0], [0, 0]], [[1, 1], [0, 1], [1, 1], [1, 1]])
    assert measured.survival == pytest.approx((4 + 1) / 8)


def test_distances_are_those_of_an_image_of_256_pixels() -> None:
    wide = measure([[0], [1.9]], [[1], [1]], size=511)  # 0.95 px of the raster
    assert wide.by_threshold[1] == 1
    assert measure([[0], [2.003]], [[1], [1]], size=511).by_threshold[1] == 0
    assert measure([[0], [1.9]], [[1], [1]]).by_threshold[1] == 0


def test_undefined_values_have_their_reason() -> None:
    measured = measure([[0], [0]], [[1], [1]])
    assert np.isnan(measured.accuracy_occluded)
    assert set(measured.undefined) == {"accuracy_occluded"}
    assert set(measure([[0]], [[1]]).undefined) == {"accuracy", "accuracy_visible", "accuracy_occluded"}


def test_disagreeing_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="expected"):
        track_accuracy(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), true_visibility=np.ones((3, 2), bool), height=9, width=9)
