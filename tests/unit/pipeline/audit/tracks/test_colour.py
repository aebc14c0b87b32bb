"""Colours along tracks: equal on the surface that is followed, whatever the light does; another one on another surface."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.tracks.colour import PointColours, colour_drift, point_colours
from pipeline.errors import DataError
from pipeline.records import TrackLabels


def standing(points, num_frames=5):
    """Labels of points that stand, asked for in the first frame."""
    points = np.asarray(points, np.float32).reshape(-1, 2)
    return TrackLabels(
        queries=np.column_stack([np.zeros(len(points)), points]).astype(np.float32),
        tracks_px=np.repeat(points[None], num_frames, axis=0),
        visibility=np.ones((num_frames, len(points)), bool),
    )


def drift(labels, frames):
    return colour_drift(labels, point_colours(labels, frames))


def test_a_colour_that_changes_by_a_3_4_0_step_has_drifted_by_5():
    frames = np.full((5, 20, 30, 3), 100, np.uint8)
    frames[2:] += np.array([3, 4, 0], np.uint8)
    labels = standing([[10, 10]])  # one track tells nothing of the light
    assert drift(labels, frames) == pytest.approx([5 * 3 / 4])  # in three of the four frames


def test_hidden_frames_do_not_count_and_a_track_seen_once_says_nothing():
    frames = np.full((5, 20, 30, 3), 100, np.uint8)
    frames[3] = 200
    labels = standing([[10, 10], [12, 10]])
    seen = labels.visibility.copy()
    seen[3, 0] = False
    seen[1:, 1] = False
    found = drift(replace(labels, visibility=seen), frames)
    assert found[0] == 0
    assert np.isnan(found[1])


def test_a_change_of_light_is_no_drift_where_enough_tracks_see_it_but_one_of_their_own_is():
    frames = np.full((5, 60, 60, 3), 100, np.uint8)
    frames[2:] += np.array([30, 20, 10], np.uint8)
    frames[2:, 40:] -= np.uint8(50)
    grid = np.stack(np.meshgrid(np.arange(5, 56, 10), [5, 15, 25]), axis=-1).reshape(-1, 2)
    found = drift(standing([*grid, [30, 50]]), frames)
    np.testing.assert_allclose(found[:-1], 0, atol=1e-4)
    assert found[-1] == pytest.approx(50 * np.sqrt(3) * 3 / 4)
    assert drift(standing([*grid[:6], [30, 50]]), frames)[0] == pytest.approx(np.sqrt(1400) * 3 / 4)  # seven are too few to say


def test_right_tracks_of_a_moving_picture_keep_their_colour_and_wrong_ones_do_not(moving_plane):
    rgb = np.repeat(moving_plane.grey[..., None], 3, axis=-1)
    right = drift(moving_plane.labels, rgb)
    frozen = replace(moving_plane.labels, tracks_px=np.repeat(moving_plane.labels.tracks_px[:1], len(rgb), axis=0))
    assert np.nanmax(right) < 6
    assert np.nanmedian(drift(frozen, rgb)) > 40


def test_the_query_is_looked_up_where_it_was_asked_and_in_its_frame():
    frames = np.zeros((3, 20, 40, 3), np.uint8)
    frames[1, :, 20:] = 90
    labels = replace(standing([[5, 10]], 3), queries=np.array([[1, 35, 10]], np.float32))
    assert point_colours(labels, iter(frames)).at_queries.tolist() == [[90, 90, 90]]
    assert point_colours(labels, iter(frames)).at_tracks.max() == 0


def test_points_on_and_beyond_the_border_are_looked_up_at_the_border():
    frames = np.full((2, 20, 40, 3), 7, np.uint8)
    assert (point_colours(standing([[-0.5, -0.5], [39.5, 19.5], [400, 10]], 2), frames).at_tracks == 7).all()


def test_no_tracks_and_many_are_fine():
    frames = np.full((2, 20, 40, 3), 7, np.uint8)
    assert drift(standing(np.zeros((0, 2)), 2), frames).shape == (0,)
    np.testing.assert_array_equal(drift(standing(np.tile([10.0, 10.0], (5000, 1)), 2), frames), 0)


@pytest.mark.parametrize("num_frames", [4, 6])
def test_other_frames_than_the_labels_have_are_refused(num_frames):
    with pytest.raises(DataError, match="the labels have 5 frames"):
        point_colours(standing([[10, 10]]), np.zeros((num_frames, 20, 30, 3), np.uint8))


def test_colours_of_other_tracks_are_refused():
    colours = PointColours(at_tracks=np.zeros((5, 2, 3), np.float32), at_queries=np.zeros((2, 3), np.float32))
    with pytest.raises(DataError, match="not of one clip"):
        colour_drift(standing([[10, 10]]), colours)
