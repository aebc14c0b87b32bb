"""Coverage, deaths and counts by hand."""

import numpy as np
import pytest

from pipeline.audit.clips import ClipMeasures, TrackEvidence, measure_clip_labels
from pipeline.audit.clips.coverage import cover_entropy, deaths, dynamic_ratio, usable_tracks
from pipeline.errors import DataError
from pipeline.records import TrackLabels


def still_tracks(points: list[tuple[float, float]], num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    tracks = np.tile(np.array(points, np.float32), (num_frames, 1, 1))
    return tracks, np.ones(tracks.shape[:2], bool)


def centres_of_cells() -> list[tuple[float, float]]:
    """One point in each of the 8 x 8 cells of a 64 x 64 image."""
    return [(8 * column + 3.5, 8 * row + 3.5) for row in range(8) for column in range(8)]


def test_one_point_in_every_cell_covers_all_and_a_heap_nothing():
    tracks, visibility = still_tracks(centres_of_cells(), 3)
    assert cover_entropy(tracks, visibility, 64, 64) == pytest.approx(1.0)
    heap, seen = still_tracks([(1.0, 1.0)] * 20, 3)
    assert cover_entropy(heap, seen, 64, 64) == 0.0


def test_points_on_half_of_the_cells_cover_five_sixths():
    tracks, visibility = still_tracks(centres_of_cells()[:32], 2)  # log 32 / log 64
    assert cover_entropy(tracks, visibility, 64, 64) == pytest.approx(5 / 6)


def test_cells_meet_between_pixel_centres_and_invisible_points_do_not_count():
    tracks, visibility = still_tracks([(7.4, 0.0), (7.6, 0.0), (40.0, 40.0)], 2)
    visibility[:, 2] = False
    assert cover_entropy(tracks, visibility, 64, 64) == pytest.approx(np.log(2) / np.log(64))
    assert np.isnan(cover_entropy(tracks, np.zeros_like(visibility), 64, 64))


def test_half_of_the_tracks_die_at_once_in_the_middle():
    tracks, visibility = still_tracks([(30.0, 30.0)] * 20, 6)
    visibility[4:, :10] = False
    np.testing.assert_allclose(deaths(tracks, visibility, 64, 64), [0, 0, 0, 0.5, 0, np.nan])


def test_tracks_that_walk_out_of_the_image_do_not_die():
    tracks, visibility = still_tracks([(30.0, 30.0)] * 10, 4)
    tracks[:, :, 0] = np.array([40, 50, 60, 70])[:, None]
    visibility[3:] = False
    assert deaths(tracks, visibility, 64, 64)[2] == 0.0
    assert deaths(tracks, visibility, 64, 100)[2] == 1.0  # in a wider image they stay inside


def test_a_handful_of_tracks_says_nothing_of_deaths():
    tracks, visibility = still_tracks([(30.0, 30.0)] * 7, 4)
    visibility[2:] = False
    assert np.isnan(deaths(tracks, visibility, 64, 64)).all()


def test_usable_tracks_are_long_or_as_long_as_the_clip():
    visibility = np.zeros((12, 3), bool)
    visibility[:8, 0] = visibility[:7, 1] = visibility[:, 2] = True
    assert usable_tracks(visibility, 8) == 2
    assert usable_tracks(visibility[:6], 8) == 3


def test_undecided_tracks_do_not_count_as_dynamic():
    assert dynamic_ratio(np.array([0.1, 0.9, 0.9, np.nan, 0.4])) == 0.5
    assert np.isnan(dynamic_ratio(np.array([np.nan])))


def labels_of(tracks: np.ndarray, visibility: np.ndarray) -> TrackLabels:
    queries = np.concatenate([np.zeros((tracks.shape[1], 1)), tracks[0]], axis=1).astype(np.float32)
    return TrackLabels(queries=queries, tracks_px=tracks, visibility=visibility)


def test_a_clips_labels_and_its_tracks_measures_are_summed_up():
    tracks, visibility = still_tracks(centres_of_cells(), 10)
    visibility[5:, 0] = False
    cycle = np.full(64, 1.0)
    cycle[:16], cycle[16:32] = 9.0, np.nan
    evidence = TrackEvidence(cycle_px=cycle, collapsed=np.eye(1, 64)[0], bad_probability=np.full(64, 0.25))
    found = measure_clip_labels(labels_of(tracks, visibility), 64, 64, tracks=evidence)
    assert (found.num_tracks, found.usable_tracks) == (64, 63)
    assert found.mean_length == pytest.approx(635 / 64)
    assert found.visible_share == pytest.approx(635 / 640)
    assert found.survival_4 == pytest.approx(32 / 48)
    assert found.collapse_share == pytest.approx(1 / 64)
    assert found.bad_probability_mean == 0.25
    assert np.isnan([found.flicker_mean, found.stuck_share, found.dynamic_ratio]).all()


def test_a_clip_without_tracks_is_counted_and_nothing_else_is_known():
    found = measure_clip_labels(labels_of(np.zeros((5, 0, 2), np.float32), np.zeros((5, 0), bool)), 64, 64)
    assert isinstance(found, ClipMeasures)
    assert (found.num_tracks, found.usable_tracks) == (0, 0)
    assert np.isnan([found.mean_length, found.visible_share, found.cover_entropy, found.deaths_max]).all()


def test_evidence_of_another_number_of_tracks_is_refused():
    tracks, visibility = still_tracks([(3.0, 3.0)] * 9, 4)
    with pytest.raises(DataError, match="9 tracks"):
        measure_clip_labels(labels_of(tracks, visibility), 64, 64, tracks=TrackEvidence(flicker=np.zeros(8)))
