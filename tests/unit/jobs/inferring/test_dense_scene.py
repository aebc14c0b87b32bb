"""Which of many tracks a picture shows."""

import numpy as np

from jobs.inferring.dense_scene import spread_tracks
from pipeline.records.dense_tracks import DenseTracks


def test_every_cell_has_a_track_in_every_frame_and_the_longest_is_taken():
    """Two tracks in the left cell, one of which lasts; one in the right cell until frame 1, and another from there on."""
    rows = [(0, 2, (2, 2)), (0, 3, (3, 3)), (0, 2, (12, 2)), (1, 2, (13, 3))]  # start, length, place
    lengths = np.array([length for _, length, _ in rows], np.int32)
    places = np.repeat(np.array([place for _, _, place in rows], np.float32), lengths, axis=0)
    tracks = DenseTracks(
        num_frames=3,
        size=(10, 20),
        space="world",
        queries=np.array([(start, *place) for start, _, place in rows], np.float32),
        starts=np.array([start for start, _, _ in rows], np.int32),
        lengths=lengths,
        pixels=places,
        points=np.zeros((len(places), 3), np.float32),
        visibility=np.ones(len(places), bool),
        visibility_score=np.ones(len(places), np.float32),
    )
    assert spread_tracks(tracks, np.array([0, 1, 2]), apart=10).tolist() == [False, True, True, True]
    assert spread_tracks(tracks, np.array([0, 1]), apart=10).tolist() == [False, True, True, False]
