"""Behaviour that both classical labelers promise."""

import numpy as np
import pytest

from labelers import make_labeler
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames, FramesInMemory

NAMES = ("dis-flow", "lucas-kanade")
DRIFT_PX = {"dis-flow": 0.2, "lucas-kanade": 0.05}  # DIS itself is off by up to 0.03 px per step, always the same way
INNER = [(t, x, y) for t in (0, 3, 6) for x in (40, 63.5, 88.25) for y in (30, 47.75, 66)]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_a_plane_moved_by_parts_of_a_pixel_is_followed_in_both_directions_of_time(name, moving_plane):
    velocity = np.array([1.3, -0.7])
    clip = moving_plane(INNER, velocity=velocity)
    labels = make_labeler(name).label([clip])[0]
    steps = np.arange(7)[:, None] - clip.queries[:, 0]
    truth = clip.queries[:, 1:] + steps[..., None] * velocity
    error_px = np.abs(labels.tracks_px - truth)
    assert error_px[2:5, 9:18].max() < 0.1  # one step from the queries in frame 3
    assert error_px.max() < DRIFT_PX[name]  # after six
    assert labels.visibility.all()


def test_in_a_clip_without_motion_every_position_is_its_query(name, moving_plane):
    clip = moving_plane([*INNER, (0, -0.5, -0.5), (2, 127.5, 95.5), (6, 0, 95)])
    labels = make_labeler(name).label([clip])[0]
    np.testing.assert_allclose(labels.tracks_px, np.broadcast_to(clip.queries[:, 1:], labels.tracks_px.shape), atol=1e-3)
    assert labels.visibility[:, : len(INNER)].all()


def test_a_point_that_a_bar_passes_over_is_invisible_from_then_on_and_back_to_the_start(name, passing_bar):
    # the bar covers x in [6t - 12, 6t + 11]: x = 64 for t in 9..12
    labels = make_labeler(name).label([passing_bar([(0, 64, 48), (17, 64, 48)])])[0]
    from_start, from_end = labels.visibility.T
    assert from_start[:8].all()
    assert not from_start[10:].any()
    assert from_end[15:].all()
    assert not from_end[:11].any()
    assert np.isfinite(labels.tracks_px).all()
    np.testing.assert_allclose(labels.tracks_px[:7, 0], [[64, 48]] * 7, atol=0.3)


def test_with_jumps_a_point_is_found_again_once_the_bar_has_passed(name, passing_bar):
    labels = make_labeler(name, jumps=[1, 2, 4, 8]).label([passing_bar([(0, 64, 48), (17, 64, 48)])])[0]
    from_start, from_end = labels.visibility.T
    assert from_start[:8].all()
    assert from_start[15:].all()
    assert from_end[:7].all()
    clear = [*range(7), *range(15, 18)]  # of the bar and its edges
    np.testing.assert_allclose(labels.tracks_px[clear], np.broadcast_to([64, 48], (10, 2, 2)), atol=0.3)


def test_jumps_of_one_frame_alone_are_the_plain_chain(name, passing_bar):
    clip = passing_bar([(0, 64, 48), (3, 40, 20), (17, 100, 80)])
    plain, jumping = make_labeler(name).label([clip])[0], make_labeler(name, jumps=[1]).label([clip])[0]
    for field in ("tracks_px", "visibility", "confidence"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(jumping, field))


def test_the_rule_of_a_label_set_names_its_jumps(name):
    found = make_labeler(name, jumps=[1, 4], strain_limit=0.25).provenance()
    assert "links of 1, 4 frames" in found.visibility_rule
    assert "strain is at most 0.25" in found.visibility_rule
    assert found.options["jumps"] == [1, 4]
    assert "jumps" not in make_labeler(name).provenance().options


def test_a_point_that_leaves_the_image_is_invisible_and_keeps_a_bounded_prediction(name, moving_plane):
    labels = make_labeler(name).label([moving_plane([(0, 118, 50)], velocity=(3, 0), num_frames=40)])[0]
    visible = labels.visibility[:, 0]
    first_outside = 4  # 118 + 3 t > 127.5
    assert visible[:2].all()
    assert not visible[first_outside:].any()
    assert (np.abs(labels.tracks_px) <= 2 * 128).all()


def test_confidence_is_full_at_the_query_and_falls_along_the_chain(name, passing_bar):
    labels = make_labeler(name).label([passing_bar([(3, 64, 48), (3, 40, 20)])])[0]
    confidence = labels.confidence
    np.testing.assert_array_equal(confidence[3], 1)
    assert (np.diff(confidence[3:], axis=0) <= 0).all()
    assert (np.diff(confidence[:4], axis=0) >= 0).all()
    assert confidence[6, 0] > 0.8
    assert confidence[-1, 0] < 0.2


def test_two_runs_give_the_same_bits_and_clips_do_not_touch_each_other(name, moving_plane, passing_bar):
    clips = [moving_plane(INNER, velocity=(0.4, 2.2)), passing_bar([(5, 20, 20)])]
    labeler = make_labeler(name)
    together, alone = labeler.label(clips), [make_labeler(name).label([clip])[0] for clip in reversed(clips)]
    for first, second in zip(together, reversed(alone), strict=True):
        np.testing.assert_array_equal(first.tracks_px, second.tracks_px)
        np.testing.assert_array_equal(first.visibility, second.visibility)
        np.testing.assert_array_equal(first.confidence, second.confidence)


def test_a_track_does_not_depend_on_the_other_queries(name, moving_plane):
    whole = make_labeler(name).label([moving_plane(INNER, velocity=(1.3, -0.7))])[0]
    single = make_labeler(name).label([moving_plane(INNER[4:5], velocity=(1.3, -0.7))])[0]
    np.testing.assert_array_equal(whole.tracks_px[:, 4:5], single.tracks_px)


def test_no_queries_give_labels_of_no_tracks(name, moving_plane):
    labels = make_labeler(name).label([moving_plane([])])[0]
    assert labels.tracks_px.shape == (7, 0, 2)
    assert labels.queries.shape == (0, 3)


def test_a_clip_of_one_frame_gives_the_queries_themselves_visible(name, moving_plane):
    labels = make_labeler(name).label([moving_plane([(0, 3, 4), (0, 100.25, 50)], num_frames=1)])[0]
    np.testing.assert_array_equal(labels.tracks_px, [[[3, 4], [100.25, 50]]])
    assert labels.visibility.all()


def test_frames_may_come_one_by_one_from_a_reader(name, moving_plane):
    clip = moving_plane(INNER, velocity=(1.3, -0.7))

    class Streamed:
        shape = clip.reader.shape

        def __iter__(self):
            return (frame.copy() for frame in clip.reader.frames)

    streamed = ClipFrames(key="plane", reader=Streamed(), queries=clip.queries)
    labels = make_labeler(name).label([streamed, clip])
    np.testing.assert_array_equal(labels[0].tracks_px, labels[1].tracks_px)


def test_frames_that_end_early_are_an_error_that_counts_them(name, moving_plane):
    clip = moving_plane(INNER)

    class Short:
        shape = clip.reader.shape

        def __iter__(self):
            return iter(clip.reader.frames[:5])

    with pytest.raises(DataError, match="plane: its frames end after 5 of 7"):
        make_labeler(name).label([ClipFrames(key="plane", reader=Short(), queries=clip.queries)])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("round_trip_px", 0),
        ("round_trip_share", -0.1),
        ("reseed_below", 1.5),
        ("reseed_every", 0),
        ("reseed_limit", "many"),
        ("blur_px", -1),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_option_s_name(name, option, value):
    with pytest.raises(ConfigError, match=f"{option} is"):
        make_labeler(name, **{option: value})


def test_provenance_holds_every_option_that_changes_the_labels(name):
    made = make_labeler(name, round_trip_px=2).provenance()
    assert made.name == name
    assert made.options["round_trip_px"] == 2
    assert made.options["reseed_below"] == 0
    assert "memory_mb" not in made.options
    assert "2 px + 5 %" in made.visibility_rule
    assert set(made.versions) == {"numpy", "opencv-python-headless"}


def test_a_looser_check_keeps_points_visible_that_a_strict_one_drops(name, passing_bar):
    clip = passing_bar([(0, x, y) for x in range(20, 120, 10) for y in range(10, 90, 10)])
    strict, loose = (make_labeler(name, round_trip_px=px).label([clip])[0].visibility.sum() for px in (0.3, 8.0))
    assert strict < loose


def test_frames_of_another_size_than_stated_are_an_error(name, moving_plane):
    clip = moving_plane(INNER)

    class Wrong:
        shape = clip.reader.shape

        def __iter__(self):
            return (frame[:-2] for frame in FramesInMemory(clip.reader.frames))

    with pytest.raises(DataError, match="frame 0 is"):
        make_labeler(name).label([ClipFrames(key="plane", reader=Wrong(), queries=clip.queries)])
