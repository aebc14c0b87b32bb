"""Planted faults: each is found by the measure that is meant for it, on labels that are right otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.records import measure_names
from pipeline.audit.tracks.cycle import cycle_measures, cycle_queries
from pipeline.errors import DataError
from pipeline.records import TrackLabels
from tests.track_audit import measure_tracks

VICTIM = 27
SUSPICIOUS = {  # the bad side of each measure's limit
    "fb_cycle": lambda m: m > 2,
    "ncc_mean": lambda m: m < 0.7,
    "ncc_min": lambda m: m < 0.4,
    "flicker": lambda m: m > 0.2,
    "jump": lambda m: m > 12,
    "neigh_max": lambda m: m > 4,
    "oof": lambda m: m > 0,
    "collapse": lambda m: m > 0,
    "static_stick": lambda m: m > 0,
}


def duplicated(tracks, seen):
    tracks[1:, VICTIM] = tracks[1:, VICTIM + 1]


def frozen(tracks, seen):
    tracks[:, VICTIM] = tracks[0, VICTIM]


def jumping(tracks, seen):
    tracks[13, VICTIM, 0] += 10  # 20 px of the raster


def swapped(tracks, seen):
    tracks[8:, [VICTIM, VICTIM + 9]] = tracks[8:, [VICTIM + 9, VICTIM]]


def drifting(tracks, seen):
    tracks[:, VICTIM, 0] += 0.1 * np.arange(24)  # 0.2 px of the raster


def inverted(tracks, seen):
    """The point is hidden in frames 10 to 15; here someone stands before the camera there, see `clip_of`."""
    seen[:, VICTIM] = ~seen[:, VICTIM]


def outside(tracks, seen):
    tracks[20:, VICTIM, 0] = 131.0
    seen[20:, VICTIM] = True


def blinking(tracks, seen):
    seen[1:23:2, VICTIM] = False


def clip_of(clip, plant):
    """The clip's frames, its labels, and these with a fault; a striped board hides all but the corners in frames 10 to 15."""
    grey, seen = clip.grey.copy(), clip.labels.visibility.copy()
    if plant is inverted:
        grey[10:16, 5:90, 5:120] = np.where(np.arange(115) // 4 % 2, 220, 40)
        seen[10:16] = False
    right = replace(clip.labels, visibility=seen)
    tracks, seen = right.tracks_px.copy(), seen.copy()
    plant(tracks, seen)
    return grey, right, replace(right, tracks_px=tracks, visibility=seen)


def measured(clip, grey, labels):
    size = {"height": clip.height, "width": clip.width}
    cycle = cycle_measures(labels, clip.follow_reversed(cycle_queries(labels, **size)), **size)
    return measure_tracks(labels, grey, cycle=cycle)


def suspects(measures):
    """Names of the measures that find a track suspicious, for each of the tracks."""
    found = {name: bad(measures.measure(name)) for name, bad in SUSPICIOUS.items()}
    return [{name for name in found if found[name][track]} for track in range(64)]


@pytest.mark.parametrize(
    ("plant", "measure"),
    [
        (duplicated, "collapse"),
        (frozen, "static_stick"),
        (jumping, "jump"),
        (swapped, "neigh_max"),
        (drifting, "fb_cycle"),
        (drifting, "neigh_max"),
        (inverted, "ncc_mean"),
        (outside, "oof"),
        (blinking, "flicker"),
    ],
)
def test_a_planted_fault_is_found_by_the_measure_meant_for_it(moving_plane, plant, measure):
    grey, right, wrong = clip_of(moving_plane, plant)
    assert suspects(measured(moving_plane, grey, right)) == [set()] * 64
    found = suspects(measured(moving_plane, grey, wrong))
    assert measure in found[VICTIM]
    involved = {duplicated: {VICTIM, VICTIM + 1}, swapped: {VICTIM, VICTIM + 9}}.get(plant, {VICTIM})
    assert {track for track in range(64) if found[track]} == involved


def test_what_is_not_given_stays_unknown(moving_plane):
    measures = measure_tracks(moving_plane.labels, moving_plane.grey)
    unknown = {name for name, values in measures.items() if np.isnan(values).all()}
    assert unknown == {
        "fb_cycle", "fb_all", "fb_agree", "colour_drift", "vis_conf", "disagree_median", "disagree_max",
        "visible_iou", "agree_aj",
    }  # fmt: skip
    assert all(values.dtype == np.float32 and values.shape == (64,) for _, values in measures.items())
    assert [name for name, _ in measures.items()] == list(measure_names())


def test_a_cycle_error_that_the_labeler_stored_is_used(moving_plane):
    stored = np.full(64, 3.0, np.float32)
    stored[1] = np.nan
    measures = measure_tracks(replace(moving_plane.labels, cycle_error_px=stored), moving_plane.grey)
    assert measures.fb_cycle[0] == pytest.approx(3 * 256 / np.sqrt(96 * 128))
    assert np.isnan(measures.fb_cycle[1])


def test_a_second_opinion_is_measured_where_given(moving_plane):
    measures = measure_tracks(moving_plane.labels, moving_plane.grey, other=moving_plane.labels)
    np.testing.assert_array_equal(measures.agree_aj, 1)


def test_permuted_tracks_have_permuted_measures(moving_plane):
    order = np.random.default_rng(0).permutation(64)
    grey, _, wrong = clip_of(moving_plane, swapped)
    permuted = replace(wrong, queries=wrong.queries[order], tracks_px=wrong.tracks_px[:, order], visibility=wrong.visibility[:, order])
    first, second = measure_tracks(wrong, grey), measure_tracks(permuted, grey)
    for name in ("ncc_mean", "neigh_max", "jump", "accel_max", "collapse", "len"):
        np.testing.assert_allclose(first.measure(name)[order], second.measure(name), rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(("num_frames", "num_tracks"), [(1, 3), (2, 3), (24, 0), (24, 1)])
def test_small_clips_and_few_tracks_are_measured_without_complaint(num_frames, num_tracks):
    rng = np.random.default_rng(0)
    labels = TrackLabels(
        queries=np.tile(np.array([0, 30, 30], np.float32), (num_tracks, 1)),
        tracks_px=np.full((num_frames, num_tracks, 2), 30, np.float32),
        visibility=np.ones((num_frames, num_tracks), bool),
    )
    measures = measure_tracks(labels, rng.integers(0, 255, (num_frames, 64, 64)).astype(np.uint8))
    assert measures.ncc.shape == (num_frames, num_tracks)
    assert np.isnan(measures.static_score).all()
    np.testing.assert_array_equal(measures.len, num_frames)


def test_what_is_not_of_one_clip_is_refused(moving_plane):
    with pytest.raises(DataError, match="grey is uint8"):
        measure_tracks(moving_plane.labels, moving_plane.grey[:20])
    queries = moving_plane.labels.queries.copy()
    queries[3, 0] = 24
    with pytest.raises(DataError, match="query 3 is on frame 24"):
        measure_tracks(replace(moving_plane.labels, queries=queries), moving_plane.grey)
