import math

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics import tapvid_from_labels
from pipeline.metrics.label_comparison import compare_labels, comparison_settings
from pipeline.metrics.tapvid_counts import fractions_of
from pipeline.records import TrackLabels, TrackTruth

SIZE = {"height": 256, "width": 256}  # the raster's own size: pixels are the raster's


def make_pair(offsets, *, visible=None, said=None, valid=None, query_frame=0) -> tuple[TrackLabels, TrackTruth]:
    """One track per column of `offsets` "T N": the label stands so many pixels to the right of the truth."""
    offsets = np.array(offsets, np.float32)
    every = np.ones(offsets.shape, bool)
    tracks = np.full((*offsets.shape, 2), 100, np.float32)
    truth = TrackTruth(
        tracks_px=tracks,
        visibility=every if visible is None else np.array(visible, bool),
        track_valid=every if valid is None else np.array(valid, bool),
        query_frame=np.full(offsets.shape[1], query_frame, np.int32),
    )
    queries = np.tile(np.array([query_frame, 100, 100], np.float32), (offsets.shape[1], 1))
    labels = TrackLabels(
        queries=queries,
        tracks_px=tracks + np.stack([offsets, np.zeros_like(offsets)], axis=-1),
        visibility=every if said is None else np.array(said, bool),
    )
    return labels, truth


def compare(*args, query_mode="first", **options):
    return compare_labels(*make_pair(*args, **options), query_mode=query_mode, **SIZE)


def test_median_and_survival_are_those_worked_out_by_hand():
    found = compare([[0, 0], [3, 1], [60, 2], [5, 4]])
    assert found.median_error_px() == 3.5  # of 3, 60, 5 and 1, 2, 4
    assert (found.survival().frames, found.survival().survived) == (6, 4)  # the first track is lost from its second frame on


def test_a_hidden_point_cannot_be_lost_and_its_distance_does_not_count():
    found = compare([[0], [90], [2]], visible=[[1], [0], [1]])
    assert found.median_error_px() == 2
    assert found.survival().share == 1


def test_exactly_fifty_pixels_are_not_lost_yet():
    assert compare([[0], [50]]).survival().share == 1
    assert compare([[0], [50.5]]).survival().share == 0


def test_distances_are_those_of_the_raster_whatever_the_clip_s_size():
    labels, truth = make_pair([[0], [3]])
    found = compare_labels(labels, truth, height=256, width=512, query_mode="first")
    assert found.median_error_px() == 1.5


def test_strided_counts_the_frames_before_the_query_too_but_survival_does_not():
    options = {"query_frame": 1, "query_mode": "strided"}
    found = compare([[7], [0], [2]], **options)
    assert found.median_error_px() == 4.5
    assert found.age[:, 0].tolist() == [-1, 0, 1]
    assert compare([[80], [0], [2]], **options).survival().share == 1
    assert compare([[7], [0], [2]], query_frame=1).median_error_px() == 2


def test_a_frame_whose_truth_is_not_valid_counts_nowhere():
    valid = [[1], [0], [1]]
    wrong = compare([[0], [90], [0]], visible=[[1], [0], [1]], valid=valid)
    values = fractions_of(wrong.counts())
    assert (float(values.average_jaccard), float(values.occlusion_accuracy)) == (1, 1)
    assert int(wrong.counts().evaluated) == 1
    assert wrong.survival().share == 1


def test_with_valid_truth_the_values_are_tapvid_s():
    rng = np.random.default_rng(3)
    labels, truth = make_pair(rng.exponential(4, (9, 6)), visible=rng.random((9, 6)) < 0.7, said=rng.random((9, 6)) < 0.7, query_frame=2)
    for mode in ("first", "strided"):
        ours = fractions_of(compare_labels(labels, truth, query_mode=mode, **SIZE).counts())
        theirs = tapvid_from_labels(labels, truth.tracks_px, truth.visibility, query_mode=mode, **SIZE)
        for name in ("average_jaccard", "average_pts_within_thresh", "occlusion_accuracy"):
            assert float(getattr(ours, name)) == float(getattr(theirs, name))


def test_what_is_undefined_is_nan():
    never_seen = compare([[0], [1]], visible=[[1], [0]], said=[[1], [0]])
    assert math.isnan(never_seen.median_error_px())
    assert math.isnan(compare([[0]]).survival().share)


def test_truth_of_another_length_is_refused():
    labels, _ = make_pair([[0], [1]])
    _, truth = make_pair([[0], [1], [2]])
    with pytest.raises(DataError, match=r"the labels are \[2, 1\] .*, their truth \[3, 1\]"):
        compare_labels(labels, truth, query_mode="first", **SIZE)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match="query mode is 'last', expected one of first, strided"):
        compare([[0]], query_mode="last")


def test_the_settings_name_mode_raster_and_thresholds():
    found = comparison_settings("strided")
    assert found["query_mode"] == "strided"
    assert (found["raster"], found["thresholds_px"], found["survival_threshold_px"]) == ([256, 256], [1, 2, 4, 8, 16], 50)
