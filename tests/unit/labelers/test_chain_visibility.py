"""Visibility of jump chains by a fit: its numbers worked by hand, and what a user sees of it."""

from dataclasses import replace

import numpy as np
import pytest

from labelers import make_labeler
from labelers.chain import LinkRule, RoundTripRule, Step, follow
from labelers.chain_trace import ChainTrace, TracedLabels
from labelers.chain_visibility import CLUES, DIS_FLOW_FIT, VisibilityFit, clues_of
from pipeline.errors import ConfigError
from pipeline.records import ClipFrames, FramesInMemory

FITTED = {"jumps": [1, 2, 4, 8], "visibility_rule": "fitted"}
SIZE = (100, 200)


class Gliding:
    """Points glide right by 4 px a frame; a link of one frame misses its start by what is said of its two frames."""

    def __init__(self, misses, num_frames=6):
        self.misses, self.shape = misses, (num_frames, *SIZE)

    def step(self, start, end, points):
        moved = points + np.float32([4 * (end - start), 0])
        returned = points + np.float32([self.misses.get((start, end), 0.0), 0])
        return Step(moved_px=moved, returned_px=returned, found=np.ones(len(points), bool))


def chains(misses, *queries, num_frames=6):
    asked = np.array(queries, np.float32)
    trace = ChainTrace.at_queries(asked, num_frames)
    labels = follow(Gliding(misses, num_frames), asked, RoundTripRule(share=0), LinkRule(), on_link=trace.add)
    return TracedLabels(labels=labels, trace=trace)


def fit_of(clue, weight, bias, threshold=0.5):
    """Of one clue alone."""
    weights = np.zeros(len(CLUES))
    weights[CLUES.index(clue)] = weight
    return VisibilityFit(mean=np.zeros(len(CLUES)), scale=np.ones(len(CLUES)), weights=weights, bias=bias, threshold=threshold)


def test_clues_are_logarithms_of_what_the_chain_counts() -> None:
    clues = np.expm1(clues_of(chains({(0, 1): 0.5, (1, 2): 3.0}, (0, 50, 50)), SIZE))[:, 0]
    found = dict(zip(CLUES, clues.T, strict=True))
    speed = (4 - 0.25) * 256 / 200  # half of the miss is taken off where the check passes
    np.testing.assert_allclose(found["strain"][:3], [0, 2.5, 92.5], rtol=1e-4)  # 10 (0.5² + 3²)
    np.testing.assert_allclose(found["last link's strain"][:3], [0, 2.5, 90], rtol=1e-4)
    np.testing.assert_allclose(found["round trip, px"][:4], [0, 5, 30, 0], atol=1e-4)
    np.testing.assert_allclose(found["links"], range(6), rtol=1e-5)
    np.testing.assert_allclose(found["frames since a direct link"], [0, 0, 1, 2, 3, 4], atol=1e-5)
    np.testing.assert_allclose(found["hidden frames"], [0, 0, 1, 2, 3, 4], atol=1e-5)
    np.testing.assert_allclose(found["frames since the query"], range(6), atol=1e-5)
    np.testing.assert_allclose(found["speed"][:3], [0, speed, 4 * 256 / 200], rtol=1e-4)


def test_before_the_query_clues_are_those_of_the_clip_reversed() -> None:
    late, early = chains({(4, 3): -0.5}, (5, 50, 50)), chains({(1, 2): 0.5}, (0, 50, 50))
    np.testing.assert_allclose(clues_of(late, SIZE)[::-1], clues_of(early, SIZE), rtol=1e-4, atol=1e-5)


def test_the_odds_fall_by_the_weight_and_the_threshold_is_on_the_probability() -> None:
    fit = replace(fit_of("links", weight=-2.0, bias=1.0), mean=np.full(len(CLUES), 0.5), scale=np.full(len(CLUES), 4.0))
    clues = np.zeros((3, len(CLUES)))
    clues[:, CLUES.index("links")] = [0.5, 2.5, 4.5]
    np.testing.assert_allclose(fit.probability(clues), 1 / (1 + np.exp([-1.0, 0.0, 1.0])), rtol=1e-12)


def test_a_fit_that_says_never_leaves_the_query_and_one_that_says_always_ends_at_the_image_s_edge() -> None:
    found = chains({}, (2, 192, 50))  # at 196 in frame 3, at 200 from frame 4 on, half a pixel past the edge
    never, always = fit_of("links", 0.0, bias=-20.0), fit_of("links", 0.0, bias=20.0)
    np.testing.assert_array_equal(never.visibility(found, SIZE)[:, 0], np.arange(6) == 2)
    np.testing.assert_array_equal(always.visibility(found, SIZE)[:, 0], [True, True, True, True, False, False])


def test_a_fitted_chain_goes_on_behind_a_bar_in_both_directions_of_time(passing_bar) -> None:
    # the bar covers x in [6t - 12, 6t + 11]: x = 64 for t in 9..12
    labels = make_labeler("dis-flow", **FITTED).label([passing_bar([(0, 64, 48), (17, 64, 48), (10, 20, 20)])])[0]
    from_start, from_end, _ = labels.visibility.T
    assert from_start[:8].all()
    assert from_end[15:].all()
    assert from_start[15:].all()
    assert from_end[:7].all()
    assert not from_end[10:13].any()
    assert labels.visibility[10, 2]


def test_only_visibility_differs_from_the_checked_chain_and_traces_say_the_same(passing_bar) -> None:
    clip = passing_bar([(0, x, y) for x in range(20, 120, 10) for y in range(10, 90, 10)])
    fitted = make_labeler("dis-flow", **FITTED)
    ours, checked = fitted.label([clip])[0], make_labeler("dis-flow", jumps=[1, 2, 4, 8]).label([clip])[0]
    for field in ("queries", "tracks_px", "confidence"):
        np.testing.assert_array_equal(getattr(ours, field), getattr(checked, field))
    assert (ours.visibility != checked.visibility).any()
    np.testing.assert_array_equal(fitted.trace(clip).labels.visibility, ours.visibility)


def test_a_clip_without_motion_is_visible_throughout(moving_plane) -> None:
    clip = moving_plane([(t, x, y) for t in (0, 3, 6) for x in (40, 88) for y in (30, 66)])
    assert make_labeler("dis-flow", **FITTED).label([clip])[0].visibility.all()


def test_clips_of_one_frame_and_of_no_queries_are_labelled(moving_plane) -> None:
    labeler = make_labeler("dis-flow", **FITTED)
    one, none = labeler.label([moving_plane([(0, 3, 4)], num_frames=1), moving_plane([])])
    assert one.visibility.all()
    assert none.visibility.shape == (7, 0)


def test_added_queries_are_judged_by_the_fit_too() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 64, 96, 3), np.uint8)  # nothing can be followed
    clip = ClipFrames(key="noise", reader=FramesInMemory(frames), queries=np.float32([(0, 20, 20), (0, 60, 40)]))
    labels = make_labeler("dis-flow", **FITTED, reseed_below=1.0, reseed_every=2).label([clip])[0]
    assert labels.tracks_px.shape[1] > 2
    assert labels.visibility[labels.queries[:, 0].astype(int), np.arange(len(labels.queries))].all()


def test_the_fit_is_part_of_the_name_of_a_label_set() -> None:
    found = make_labeler("dis-flow", **FITTED).provenance()
    assert found.options["visibility_rule"] == "fitted"
    assert "logistic fit" in found.visibility_rule
    assert f"{DIS_FLOW_FIT.threshold:g}" in found.visibility_rule
    assert "visibility_rule" not in make_labeler("dis-flow", jumps=[1, 2, 4, 8]).provenance().options


@pytest.mark.parametrize("others", [{}, {"jumps": [1, 2, 4]}, {**FITTED, "strain_limit": 0.2}, {**FITTED, "round_trip_px": 2.0}])
def test_it_is_refused_for_chains_that_it_was_not_fitted_on(others) -> None:
    with pytest.raises(ConfigError, match=r"visibility_rule=fitted was fitted on chains of jumps=\[1, 2, 4, 8\]"):
        make_labeler("dis-flow", **{**others, "visibility_rule": "fitted"})


def test_lucas_kanade_has_no_fit() -> None:
    with pytest.raises(ConfigError, match="visibility_rule"):
        make_labeler("lucas-kanade", **FITTED)
