"""Tracks in given colours, such as those of their weights."""

import numpy as np
import pytest

from pipeline.drawing import TrackColours, TrackStyle, clip_cell, contact_sheet, draw_tracks
from pipeline.errors import DataError
from pipeline.records import TrackLabels

TABLE = np.array([[250, 90, 10], [60, 200, 240]], np.uint8)
FRAMES = np.full((3, 60, 120, 3), 90, np.uint8)


def labels() -> TrackLabels:
    tracks = np.tile(np.array([[30, 30], [90, 30]], np.float32), (3, 1, 1))
    return TrackLabels(queries=np.column_stack([[2, 2], tracks[0]]).astype(np.float32), tracks_px=tracks, visibility=np.ones((3, 2), bool))


def style(*entries: int) -> TrackStyle:
    return TrackStyle(radius=4.0, colours=TrackColours(table=TABLE, entries=np.array(entries)))


def test_each_track_has_its_own_colour():
    drawn = draw_tracks(FRAMES, labels(), style=style(1, 0))
    assert (drawn[1, 30, 30] == TABLE[1]).all()
    assert (drawn[1, 30, 90] == TABLE[0]).all()


def test_tails_have_the_colour_of_their_track():
    moving = labels()
    moving.tracks_px[:, :, 0] += np.array([[-20], [-10], [0]])
    drawn = draw_tracks(FRAMES, moving, style=style(1, 0))[2].astype(int)
    assert drawn[30, 15, 2] > drawn[30, 15, 0] + 50  # cyan
    assert drawn[30, 75, 0] > drawn[30, 75, 2] + 50  # orange


def test_colours_of_another_clip_are_refused():
    with pytest.raises(DataError, match="colours of 3 tracks, the labels have 2"):
        draw_tracks(FRAMES, labels(), style=style(0, 0, 1))
    with pytest.raises(DataError, match="table of 2"):
        style(0, 2)


def test_the_sheet_shows_the_ramp_of_weights():
    cell = clip_cell("key", FRAMES, labels(), style=style(1, 0))
    plain, ramped = contact_sheet([cell], title="t"), contact_sheet([cell], title="t", ramp=TABLE)
    rows, columns = np.nonzero((plain != ramped).any(axis=-1))
    assert rows.max() < 70  # only in the header
    left, right = ramped[60, columns.max() - 100], ramped[60, columns.max() - 10]
    assert (left == TABLE[0]).all()
    assert (right == TABLE[1]).all()
