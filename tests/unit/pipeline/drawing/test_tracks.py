import cv2
import numpy as np
import pytest

from pipeline.drawing import TrackStyle, draw_frame, draw_tracks
from pipeline.drawing.style import NUM_COLOURS, colour_indices, palette
from pipeline.errors import ConfigError, DataError
from pipeline.records import TrackLabels

GREY = 90
STYLE = TrackStyle(radius=5.0, tail_frames=4)


def grey_frames(num_frames: int = 6) -> np.ndarray:
    return np.full((num_frames, 60, 120, 3), GREY, np.uint8)


def one_track(path: list[tuple[float, float]], visible: list[bool], query: int = 0) -> TrackLabels:
    tracks = np.array(path, np.float32)[:, None]
    return TrackLabels(queries=np.array([[query, *path[query]]], np.float32), tracks_px=tracks, visibility=np.array(visible, bool)[:, None])


def resting(visible: bool) -> TrackLabels:
    """A point at (40, 30) for six frames, asked for in frame 5."""
    return one_track([(40, 30)] * 6, [visible] * 6, query=5)


def colour_of(labels: TrackLabels) -> np.ndarray:
    return palette()[colour_indices(labels.queries, 60, 120)[0]]


def test_a_visible_point_is_filled_and_an_invisible_one_shows_the_image_within():
    seen, hidden = (draw_tracks(grey_frames(), resting(visible), style=STYLE)[2] for visible in (True, False))
    colour = colour_of(resting(True))
    assert (seen[30, 40] == colour).all()
    assert (seen[30, 43] == colour).all()
    assert (hidden[30, 40] == GREY).all()
    assert (hidden[30, 42] == GREY).all()
    assert (hidden[30, 45] == colour).all()


def test_both_have_a_dark_edge_and_leave_the_rest_of_the_image_alone():
    for visible in (True, False):
        drawn = draw_tracks(grey_frames(), resting(visible), style=STYLE)[2]
        assert drawn[30, 40:52].sum(axis=-1).min() < 0.6 * 3 * GREY
        drawn[20:41, 30:51] = GREY
        assert (drawn == GREY).all()


def test_an_integer_position_is_the_centre_of_a_pixel():
    drawn = draw_frame(grey_frames()[0], resting(True), 2, style=STYLE).astype(int)
    patch = drawn[30 - 8 : 30 + 9, 40 - 8 : 40 + 9]
    np.testing.assert_array_equal(patch, patch[::-1, ::-1])


def test_half_a_pixel_to_the_right_moves_the_drawing_half_a_pixel():
    still = one_track([(40.5, 30)] * 2, [True] * 2, query=1)
    drawn = draw_frame(grey_frames()[0], still, 0, style=STYLE)
    patch = drawn[22:39, 40 - 8 : 41 + 9]  # mirror axis between columns 40 and 41
    np.testing.assert_array_equal(patch, patch[:, ::-1])


def test_a_tail_follows_where_the_point_was_seen_and_fades_with_age():
    moving = one_track([(10 + 16 * t, 30) for t in range(6)], [True] * 6, query=0)
    drawn = draw_tracks(grey_frames(), moving, style=STYLE)[5].astype(int)
    colour = colour_of(moving).astype(int)
    distance = [np.abs(drawn[30, x] - colour).sum() for x in (82, 66, 50, 34)]  # between frames 4-5, 3-4, 2-3, 1-2
    assert distance == sorted(distance)
    assert distance[0] < 0.3 * np.abs(GREY - colour).sum()
    assert (drawn[30, :20] == GREY).all()  # older than the tail
    assert (drawn[30, 100:] == GREY).all()


def test_a_tail_leaves_out_what_was_not_seen():
    visible = [True, True, True, False, True, True]
    moving = one_track([(10 + 16 * t, 30) for t in range(6)], visible, query=0)
    drawn = draw_tracks(grey_frames(), moving, style=STYLE)[5]
    assert (drawn[30, 50] == GREY).all()  # frames 2-3
    assert (drawn[30, 66] == GREY).all()  # frames 3-4
    assert (drawn[30, 82] != GREY).any()  # frames 4-5


def test_no_tail_when_none_is_asked_for():
    moving = one_track([(10 + 16 * t, 30) for t in range(6)], [True] * 6, query=0)
    drawn = draw_tracks(grey_frames(), moving, style=TrackStyle(radius=5.0, tail_frames=0))[5]
    assert (drawn[:, :80] == GREY).all()


def test_a_white_cross_marks_the_frame_of_the_query_only():
    drawn = draw_tracks(grey_frames(), resting(True), style=STYLE)
    assert (drawn[5, 30, 49] == 255).all()
    assert (drawn[5, 21, 40] == 255).all()
    assert (drawn[4, 30, 49] == GREY).all()


def test_points_outside_the_image_or_very_far_are_no_trouble():
    far = one_track([(40, 30), (130, 30), (-9, -9), (6e7, -6e7), (119.4, 59.4), (40, 30)], [True, False, True, True, True, True])
    drawn = draw_tracks(grey_frames(), far, style=TrackStyle(radius=5.0, tail_frames=0))
    assert (drawn[1:4] == GREY).all()
    assert (drawn[4, 59, 119] != GREY).any()


def test_no_tracks_leave_the_frames_as_they_are():
    empty = TrackLabels(queries=np.zeros((0, 3), np.float32), tracks_px=np.zeros((6, 0, 2), np.float32), visibility=np.zeros((6, 0), bool))
    frames = grey_frames()
    drawn = draw_tracks(frames, empty)
    np.testing.assert_array_equal(drawn, frames)
    assert drawn is not frames


def test_the_input_is_left_untouched():
    frames = grey_frames()
    draw_tracks(frames, resting(True))
    assert (frames == GREY).all()


def test_points_get_smaller_where_many_stand_on_a_small_image():
    style = TrackStyle()
    assert style.radius_for(1080, 1920, 256) > style.radius_for(288, 512, 256) > style.radius_for(288, 512, 4096)
    assert style.radius_for(288, 512, 10_000_000) >= 1
    assert 2 * style.radius_for(288, 512, 1024) < np.sqrt(288 * 512 / 1024) / 2  # more than half of the image stays to be seen


def test_colours_follow_the_place_of_the_query():
    queries = np.array([[0, -0.5, -0.5], [0, 60, 30], [0, 119.5, 59.5]], np.float32)
    first, middle, last = colour_indices(queries, 60, 120)
    assert (first, last) == (0, NUM_COLOURS - 1)
    assert first < middle < last
    assert cv2.cvtColor(palette()[None], cv2.COLOR_RGB2HSV)[0, :, 2].min() == 255  # every colour is bright


def test_labels_of_another_clip_are_refused():
    with pytest.raises(DataError, match="5 frames, labels of 6"):
        draw_tracks(grey_frames(5), resting(True))


@pytest.mark.parametrize("wrong", [{"tail_frames": -1}, {"tail_opacity": 1.5}, {"radius": 0.1}])
def test_a_style_that_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ConfigError):
        TrackStyle(**wrong)
