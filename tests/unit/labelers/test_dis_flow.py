"""What is dis-flow's own: sampling, the flow budget, small images."""

import numpy as np
import pytest

from labelers import QueryPolicy, choose_queries, make_labeler
from labelers.optical_flow import FlowField, sample_flow
from pipeline.errors import ConfigError, DataError
from pipeline.metrics import tapvid_from_labels
from pipeline.records import ClipFrames, FramesInMemory
from pipeline.synthetic.planes import make_clip


def test_flow_is_sampled_between_pixel_centres_and_held_at_the_border():
    flow = np.zeros((3, 4, 2), np.float32)
    flow[..., 0] = np.arange(4)  # u = x
    flow[..., 1] = 10 * np.arange(3)[:, None]  # v = 10 y
    points = np.array([[0, 0], [1.25, 0.5], [2.999, 1.75], [-0.5, 2.5], [9, -4]], np.float32)
    np.testing.assert_allclose(sample_flow(flow, points), [[0, 0], [1.25, 5], [2.999, 17.5], [0, 20], [3, 0]], atol=1e-5)


def test_the_memory_budget_changes_no_label(moving_plane):
    clip = moving_plane([(0, 30, 30), (3, 60, 60), (6, 90, 40)], velocity=(1.1, 0.6))
    small, large = (make_labeler("dis-flow", memory_mb=budget).label([clip])[0] for budget in (0, 512))
    np.testing.assert_array_equal(small.tracks_px, large.tracks_px)
    np.testing.assert_array_equal(small.visibility, large.visibility)


def test_flows_are_kept_up_to_the_budget_and_not_longer(moving_plane):
    grey = moving_plane([], num_frames=6).reader.frames[..., 0]
    field = FlowField(grey, 2, 2 * 16 * 96 * 128)
    point = np.array([[50, 50]], np.float32)
    for t in range(5):
        field.step(t, t + 1, point)
    assert sorted(field._pairs) == [(3, 4), (4, 5)]
    kept = field._pairs[4, 5]
    field.step(5, 4, point)
    assert field._pairs[4, 5] is kept


def test_images_too_small_for_a_patch_are_an_error_with_a_way_out(moving_plane):
    clip = moving_plane([(0, 5, 5)], size=(12, 60))
    with pytest.raises(DataError, match=r"plane: frames are 60x12, dis-flow \(medium\) needs 16 px.*lucas-kanade"):
        make_labeler("dis-flow").label([clip])
    assert make_labeler("lucas-kanade").label([clip])[0].tracks_px.shape == (7, 1, 2)


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="preset is 'best', expected one of ultrafast, fast, medium"):
        make_labeler("dis-flow", preset="best")


def test_on_a_plane_layer_clip_dis_flow_is_better_than_lucas_kanade():
    """Clip 4 of the suite of benchmarks/label_accuracy.py, its first 24 frames; the floor lies 5 points below what was measured."""
    clip = make_clip(4, num_frames=24)
    reader = FramesInMemory(clip.frames)
    queries = choose_queries(reader, QueryPolicy(num_queries=192, num_query_frames=1), key=clip.key)
    tracks, visibility = clip.truth(queries)
    scores = {}
    for name in ("dis-flow", "lucas-kanade"):
        labels = make_labeler(name).label([ClipFrames(key=clip.key, reader=reader, queries=queries)])[0]
        found = tapvid_from_labels(labels, tracks, visibility, height=240, width=320)
        scores[name] = 100 * np.array([found.average_jaccard, found.average_pts_within_thresh, found.occlusion_accuracy])
    assert (scores["dis-flow"] > (62, 78, 85)).all(), scores  # AJ, delta_avg, OA
    assert scores["dis-flow"][0] > scores["lucas-kanade"][0], scores
