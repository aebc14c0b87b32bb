"""One pass over a clip's pictures: how many of them live at a time, how often they are read, and that the figures stay."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.records import measure_names
from pipeline.audit.tracks.picture_measures import measure_pictures
from pipeline.errors import DataError
from pipeline.records import FramesInMemory, TrackLabels
from tests.made_frames import MadeFrames, peak_bytes
from tests.track_audit import audit_tracks, measure_tracks


def standing(num_frames: int, asked: list[int]) -> TrackLabels:
    """Tracks that stand still and are visible in all frames; each was asked for in its own."""
    places = np.array([[30 + 25 * track, 40] for track in range(len(asked))], np.float32)
    return TrackLabels(
        queries=np.column_stack([asked, places]).astype(np.float32),
        tracks_px=np.repeat(places[None], num_frames, axis=0),
        visibility=np.ones((num_frames, len(asked)), bool),
    )


@pytest.mark.parametrize("asked", [[0, 0, 0, 0], [0, 10, 20, 29]])
def test_pictures_are_let_go_of_however_long_the_clip_is(asked):
    def audited(frames: MadeFrames) -> None:
        audit_tracks(standing(frames.shape[0], asked), frames)

    short, long = MadeFrames(30, 120, 160), MadeFrames(150, 120, 160)
    peak_bytes(audited, short)  # what is allocated once
    grown = peak_bytes(audited, long) - peak_bytes(audited, short)
    assert short.most_alive == long.most_alive <= 2
    assert grown < 20 * 120 * 160  # a sixth of the grey frames that were added; tracks, which may grow, take a part of it


@pytest.mark.parametrize(
    ("asked", "read"), [([0, 0, 0], 30), ([0, 12, 7], 30 + 13)], ids=["queries on the first frame", "frames up to the last query once more"]
)
def test_frames_are_read_again_only_for_what_was_asked_for_later(asked, read):
    frames = MadeFrames(30, 48, 64)
    measure_pictures(standing(30, asked), frames)
    assert frames.read == read


def test_a_track_that_begins_with_its_query_needs_no_second_reading():
    labels = standing(30, [0, 12])
    labels.visibility[:12, 1] = False
    frames = MadeFrames(30, 48, 64)
    measure_pictures(labels, frames)
    assert frames.read == 30


def later(clip) -> TrackLabels:
    """The clip's labels as if they had been asked for in frames 0, 5, 10 and 15 in turn."""
    asked = np.arange(64) % 4 * 5
    places = clip.labels.tracks_px[asked, np.arange(64)]
    return clip.follow(np.column_stack([asked, places]))


def test_frames_read_one_by_one_give_what_frames_in_memory_give(moving_plane):
    labels = later(moving_plane)
    in_memory = measure_tracks(labels, moving_plane.grey)
    read = measure_tracks(labels, FramesInMemory(np.repeat(moving_plane.grey[..., None], 3, axis=-1)))
    for name in measure_names():
        if name != "colour_drift":
            np.testing.assert_array_equal(read.measure(name), in_memory.measure(name), err_msg=name)
    np.testing.assert_array_equal(read.ncc, in_memory.ncc)
    assert np.nanmax(read.colour_drift) < 6
    assert np.isnan(in_memory.colour_drift).all()


def test_a_clip_shown_backwards_is_measured_as_it_is_forwards(moving_plane):
    labels = later(moving_plane)
    wrong = labels.tracks_px.copy()
    wrong[:, 3] += np.linspace(0, 9, 24)[:, None]  # asked for in frame 15: slides before and after
    labels = replace(labels, tracks_px=wrong)
    asked = 23 - labels.queries[:, :1]
    backwards = TrackLabels(
        queries=np.column_stack([asked, labels.queries[:, 1:]]), tracks_px=labels.tracks_px[::-1], visibility=labels.visibility[::-1]
    )
    there, back = measure_tracks(labels, moving_plane.grey), measure_tracks(backwards, moving_plane.grey[::-1])
    np.testing.assert_array_equal(back.ncc[::-1], there.ncc)
    for name in ("ncc_min", "ncc_step_min", "realign_max", "realign_long_max"):
        np.testing.assert_array_equal(back.measure(name), there.measure(name), err_msg=name)
    assert there.realign_max[3] > 4 * np.delete(there.realign_max, 3).max()
    assert (np.isnan(there.ncc) == ~labels.visibility).all()


@pytest.mark.parametrize("num_frames", [20, 30])
def test_a_clip_of_other_length_than_its_labels_is_refused(num_frames):
    with pytest.raises(DataError, match=f"the labels have 24 frames, the clip {num_frames}"):
        measure_pictures(standing(24, [0]), MadeFrames(num_frames, 48, 64))


def test_a_reader_that_ends_before_it_said_is_refused():
    with pytest.raises(DataError, match="the labels have 24 frames, the clip 20"):
        measure_pictures(standing(24, [0]), MadeFrames(24, 48, 64, given=20))
