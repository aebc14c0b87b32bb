"""Fused tracks against values worked out by hand: who agrees, who is outvoted, ties, hidden points, points that some sets lack."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.consensus import fusion
from pipeline.consensus.fusion import ALONE, LEAST_TRUST, Opinion, fuse_tracks
from pipeline.consensus.matching import match_queries
from pipeline.errors import DataError
from pipeline.records import TrackLabels


def opinion(vote: str, x: Sequence[float], *, seen: Sequence[bool] | bool = True, trust: float = 1.0) -> Opinion:
    """One track, at (x, 2 x) in each frame."""
    tracks = np.array([[[each, 2 * each]] for each in x], np.float32)
    visibility = np.broadcast_to(np.atleast_1d(seen), len(x)).copy()[:, None]
    labels = TrackLabels(queries=np.zeros((1, 3), np.float32), tracks_px=tracks, visibility=visibility)
    return Opinion(vote=vote, labels=labels, trust=np.array([trust], np.float32))


def fused(*opinions: Opinion, height: int = 256, width: int = 256, agree_px: float = 4.0) -> TrackLabels:
    matched = match_queries([each.labels.queries for each in opinions], [each.vote for each in opinions])
    return fuse_tracks(opinions, matched, height=height, width=width, agree_px=agree_px)


def at(labels: TrackLabels, x: float) -> None:
    """The one point of the first frame is at (x, 2 x)."""
    np.testing.assert_allclose(labels.tracks_px[0, 0], [x, 2 * x], atol=1e-5)


def test_of_three_the_one_that_is_off_is_outvoted():
    labels = fused(opinion("a", [10]), opinion("b", [100]), opinion("c", [11]))
    at(labels, 10.5)
    assert labels.confidence[0, 0] == pytest.approx(2 / 3)
    assert (labels.visibility[0, 0], labels.visibility_score[0, 0]) == (True, 1)
    assert labels.cycle_error_px is None


def test_three_that_agree_give_their_middle_one():
    labels = fused(opinion("a", [11.5]), opinion("b", [10]), opinion("c", [10.5]))
    at(labels, 10.5)
    assert labels.confidence[0, 0] == 1


def test_variants_of_one_labeler_do_not_outvote_a_third():
    variants = (opinion("a", [10], trust=0.9), opinion("a", [10.1], trust=0.9))
    labels = fused(*variants, opinion("b", [50]))
    at(labels, 50)
    assert labels.confidence[0, 0] == pytest.approx(ALONE / 1.9)
    labels = fused(*variants, opinion("b", [50]), opinion("c", [51], trust=0.1))
    at(labels, 50 + 0.05 / 0.55)  # weights 1 and 0.1 have their middles at 0.5 and 1.05; half of all is 0.55
    assert labels.confidence[0, 0] == pytest.approx(1.1 / 2)


def test_the_median_weighs_variants_together_as_one():
    labels = fused(opinion("a", [10]), opinion("a", [10.1]), opinion("b", [11]))
    at(labels, 10.4)  # weights 0.5, 0.5, 1 have their middles at 0.25, 0.75, 1.5; half of all is 1
    alone = fused(opinion("a", [10], seen=False), opinion("a", [10], seen=False), opinion("a", [10], seen=False), opinion("b", [10]))
    assert alone.visibility_score[0, 0] == pytest.approx(0.5)
    assert not alone.visibility[0, 0]


def test_trust_decides_who_is_believed():
    labels = fused(opinion("a", [10], seen=False, trust=0.3), opinion("b", [50], trust=0.6), opinion("c", [90], trust=0.5))
    at(labels, 50)
    assert labels.visibility_score[0, 0] == pytest.approx(1.1 / 1.4)
    assert labels.confidence[0, 0] == pytest.approx(ALONE * 0.6 / 1.4)


def test_two_that_agree_are_believed_before_one_that_is_trusted_more():
    labels = fused(opinion("a", [90]), opinion("b", [10], trust=0.4), opinion("c", [10.5], trust=0.4))
    at(labels, 10.25)
    assert labels.confidence[0, 0] == pytest.approx(0.8 / 1.8)


def test_where_none_agree_a_variant_is_believed_by_its_own_trust():
    at(fused(opinion("b", [50], trust=0.6), opinion("a", [10], trust=0.9), opinion("a", [90], trust=0.1)), 10)


def test_a_tie_of_votes_hides_and_a_tie_of_trust_goes_to_the_set_named_first():
    labels = fused(opinion("a", [10]), opinion("b", [50], seen=False))
    assert (labels.visibility[0, 0], labels.visibility_score[0, 0]) == (False, 0.5)
    at(labels, 10)
    at(fused(opinion("b", [50]), opinion("a", [10])), 50)


def test_of_gatherings_of_equal_weight_the_closer_one_wins():
    wide, close = (opinion("a", [10]), opinion("b", [11])), (opinion("c", [50]), opinion("d", [50.5]))
    for order in (wide + close, close + wide):
        at(fused(*order), 50.25)


def test_a_position_is_asked_of_those_that_see_the_point_and_of_all_where_none_does():
    others = (opinion("b", [11], seen=False, trust=0.9), opinion("c", [12], seen=False))
    at(fused(opinion("a", [10]), others[0]), 10)
    labels = fused(opinion("a", [10]), *others)
    assert not labels.visibility[0, 0]  # outvoted, yet what is seen is a better guess than what is not
    at(labels, 10)
    at(fused(opinion("a", [10], seen=False), *others), 11)  # weights 1, 0.9, 1: half of all is in the middle of the second


def test_all_hidden_still_has_positions():
    labels = fused(opinion("a", [10, 20], seen=False), opinion("b", [11, 90], seen=False))
    assert not labels.visibility.any()
    assert not labels.visibility_score.any()
    np.testing.assert_allclose(labels.tracks_px[:, 0, 0], [10.5, 20])
    np.testing.assert_allclose(labels.confidence[:, 0], [1, ALONE / 2])


def test_frames_are_fused_one_by_one():
    labels = fused(opinion("a", [10, 10, 50], seen=[True, True, True]), opinion("b", [10, 50, 50]), opinion("c", [10, 51, 90]))
    np.testing.assert_allclose(labels.tracks_px[:, 0, 0], [10, 50.5, 50])


@pytest.mark.parametrize(("x", "agrees"), [(7.0, True), (9.0, False)])
def test_the_radius_is_in_pixels_of_the_raster(x, agrees):
    still = np.zeros((1, 1, 2), np.float32)
    moved = still + np.array([x, 0], np.float32)
    opinions = [
        Opinion(
            vote=vote,
            labels=TrackLabels(queries=np.zeros((1, 3), np.float32), tracks_px=place, visibility=np.ones((1, 1), bool)),
            trust=np.ones(1, np.float32),
        )
        for vote, place in (("a", still), ("b", moved))
    ]
    labels = fused(*opinions, width=512)
    assert labels.tracks_px[0, 0].tolist() == ([x / 2, 0] if agrees else [0, 0])


def random_opinion(rng: np.random.Generator, vote: str, queries: np.ndarray, *, num_frames: int = 9, trust: float | None = None) -> Opinion:
    size = (num_frames, len(queries))
    labels = TrackLabels(
        queries=queries,
        tracks_px=(queries[None, :, 1:] + rng.normal(0, 3, (*size, 2))).astype(np.float32),
        visibility=rng.random(size) < 0.6,
    )
    weight = rng.random(len(queries)) if trust is None else np.full(len(queries), trust)
    return Opinion(vote=vote, labels=labels, trust=weight.astype(np.float32))


def chosen(each: Opinion, rows: np.ndarray) -> Opinion:
    labels = TrackLabels(
        queries=each.labels.queries[rows], tracks_px=each.labels.tracks_px[:, rows], visibility=each.labels.visibility[:, rows]
    )
    return Opinion(vote=each.vote, labels=labels, trust=each.trust[rows])


def some_opinions(**changed: float) -> list[Opinion]:
    rng = np.random.default_rng(3)
    queries = np.column_stack([rng.integers(0, 9, 40), rng.uniform(0, 255, (40, 2))]).astype(np.float32)
    return [random_opinion(rng, vote, queries, **changed) for vote in ("a", "a", "b", "c")]


def assert_equal(one: TrackLabels, other: TrackLabels) -> None:
    for name in ("queries", "tracks_px", "visibility", "visibility_score", "confidence"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_order_of_a_set_s_rows_does_not_matter():
    opinions = some_opinions()
    shuffled = [opinions[0], *(chosen(each, np.random.default_rng(n).permutation(40)) for n, each in enumerate(opinions[1:]))]
    assert_equal(fused(*shuffled), fused(*opinions))


def test_a_point_that_a_set_lacks_is_fused_from_the_others():
    opinions = some_opinions()
    lacking = [chosen(opinions[0], np.arange(0, 40, 2)), *opinions[1:]]
    labels, without = fused(*lacking), fused(*opinions[1:])
    assert len(labels.queries) == 40
    odd = {tuple(query): row for row, query in enumerate(labels.queries.tolist())}
    rows = [odd[tuple(query)] for query in opinions[0].labels.queries[1::2].tolist()]
    np.testing.assert_array_equal(labels.tracks_px[:, rows], without.tracks_px[:, 1::2])
    np.testing.assert_array_equal(labels.confidence[:, rows], without.confidence[:, 1::2])


def test_many_frames_are_fused_in_blocks_and_give_the_same(monkeypatch):
    whole = fused(*some_opinions())
    monkeypatch.setattr(fusion, "_DISTANCES_AT_ONCE", 2 * 16 * 40)
    assert_equal(fused(*some_opinions()), whole)


@pytest.mark.parametrize("changed", [{"num_frames": 1}, {"trust": 0.0}, {}])
def test_all_is_finite_within_bounds_and_near_what_was_said(changed):
    opinions = some_opinions(**changed)
    labels = fused(*opinions)
    said = np.stack([each.labels.tracks_px for each in opinions])
    assert np.isfinite(labels.tracks_px).all()
    assert ((labels.tracks_px >= said.min(axis=0)) & (labels.tracks_px <= said.max(axis=0))).all()
    for score in (labels.visibility_score, labels.confidence):
        assert ((score >= 0) & (score <= 1)).all()
    np.testing.assert_array_equal(labels.visibility, labels.visibility_score > 0.5)
    seen = np.stack([each.labels.visibility for each in opinions])
    assert not labels.visibility[~seen.any(axis=0)].any()
    assert labels.visibility[seen.all(axis=0)].all()


def test_what_nobody_trusts_has_equal_votes():
    labels = fused(opinion("a", [10], trust=0), opinion("b", [11], trust=0), opinion("c", [90], trust=LEAST_TRUST))
    at(labels, 10.5)
    assert labels.confidence[0, 0] == pytest.approx(2 / 3)


def test_no_track_at_all_is_fused_to_none():
    nothing = chosen(opinion("a", [10]), np.zeros(0, int))
    labels = fused(nothing, Opinion(vote="b", labels=nothing.labels, trust=nothing.trust))
    assert labels.tracks_px.shape == (1, 0, 2)


def test_opinions_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="tracks of 1, 2 frames"):
        fused(opinion("a", [10]), opinion("b", [10, 11]))
    one, two = opinion("a", [10]), opinion("b", [10])
    with pytest.raises(DataError, match="queries of 2 sets were matched, 1 are to be fused"):
        fuse_tracks([one], match_queries([one.labels.queries, two.labels.queries], ["a", "b"]), height=8, width=8)
    with pytest.raises(DataError, match=r"the trust of a lies in \[2, 2\]"):
        opinion("a", [10], trust=2)
