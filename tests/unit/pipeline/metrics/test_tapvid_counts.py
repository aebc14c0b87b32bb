import numpy as np

from pipeline.metrics.tapvid_counts import PointOutcomes, count_points, fractions_of, ratio


def make_outcomes() -> PointOutcomes:
    """Two tracks over three frames, one threshold; the second track is never seen, nor claimed to be."""
    return PointOutcomes(
        evaluated=np.array([[False, True, True], [False, True, True]]),
        visible=np.array([[True, True, True], [False, False, False]]),
        predicted_visible=np.array([[True, True, False], [True, False, False]]),
        within={4: np.array([[True, True, True], [True, False, True]])},
    )


def test_counts_are_of_evaluated_points_alone() -> None:
    counts = count_points(make_outcomes(), axes=(0, 1))
    assert (counts.evaluated, counts.agreeing, counts.visible) == (4, 3, 2)
    assert (counts.within, counts.visible_within, counts.true_positives, counts.false_positives) == ([3], [2], [1], [0])


def test_undefined_values_have_their_reason_and_say_how_many_they_are() -> None:
    by_track = fractions_of(count_points(make_outcomes(), axes=(1,)))
    np.testing.assert_array_equal(by_track.average_pts_within_thresh, [1, np.nan])
    assert by_track.undefined == {
        "average_jaccard": "1 of 2: no true point is visible and none is predicted visible in the frames evaluated",
        "average_pts_within_thresh": "1 of 2: no true point is visible in the frames evaluated",
    }
    assert fractions_of(count_points(make_outcomes(), axes=(0, 1))).undefined == {}
    empty = PointOutcomes(
        **{name: np.zeros((2, 0), bool) for name in ("evaluated", "visible", "predicted_visible")}, within={1: np.zeros((2, 0), bool)}
    )
    nothing = fractions_of(count_points(empty, axes=(0, 1)))
    assert nothing.undefined["occlusion_accuracy"] == "there is no frame to evaluate"
    assert nothing.undefined["average_jaccard"] == "there is no frame to evaluate"


def test_a_ratio_over_nothing_is_nan_and_over_a_part_is_not_rounded() -> None:
    np.testing.assert_array_equal(ratio(np.array([1.0, 0.1]), np.array([0.0, 0.4])), [np.nan, 0.25])
