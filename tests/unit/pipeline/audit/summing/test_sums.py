"""Sums of audits: by hand, and equal under every grouping and order of the parts."""

import random
from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.audit.summing.shard_sum import limit_distance, sum_clips
from pipeline.audit.summing.sums import (
    NUM_BORDERLINE,
    NUM_ERRORS,
    NUM_KEEPS,
    NUM_LOWEST,
    SPEED_THIRDS,
    TRACK_HISTOGRAMS,
    UNIT,
    PartialSum,
    merge_sums,
    summary_of,
)
from pipeline.audit.verdict import ClipRules, verdict_of
from tests.audited_clips import clip_of, tracks_of

RULES = ClipRules()


def failed(key: str) -> ClipAudit:
    return ClipAudit(
        key=key, verdict=verdict_of(["contract"]), error="contradicts its clip", license="CC-BY-4.0", video_s=0.4, num_frames=12
    )


def shard_of(number: int, num_clips: int = 9) -> PartialSum:
    rng = random.Random(number)
    reasons = [(), (), ("letterbox",), ("dark", "mostly_dynamic"), ("mostly_dynamic",)]
    clips = [clip_of(f"s{number}c{place}", rng.choice(reasons), seed=100 * number + place) for place in range(num_clips)]
    return sum_clips(number, [*clips, failed(f"s{number}bad")], RULES)


def facts(whole: PartialSum) -> list[object]:
    """Everything in it, comparable."""
    named = [
        sorted(getattr(whole, name).items()) for name in ("decisions", "reasons", "licenses", "totals", "group_tracks", "group_weight")
    ]
    lists = [[candidate.place for candidate in getattr(whole, name)] for name in ("errors", "lowest", "borderline", "keeps")]
    return [*named, *lists, whole.histograms.tolist(), whole.speeds.tolist(), [line.shard for line in whole.shards]]


def test_any_grouping_and_order_of_the_parts_gives_the_same():
    parts = [shard_of(number) for number in range(12)]
    expected = facts(merge_sums(parts))
    rng = random.Random(1)
    for _ in range(10):
        shuffled = rng.sample(parts, len(parts))
        cut = rng.randrange(1, len(parts))
        inner = merge_sums(shuffled[:cut])
        assert facts(merge_sums([merge_sums(shuffled[cut:]), inner, PartialSum()])) == expected
    summaries = [summary_of(merge_sums(order)) for order in (parts, parts[::-1])]
    assert repr(summaries[0]) == repr(summaries[1])


def test_adding_changes_no_part():
    first, second = shard_of(0), shard_of(1)
    before = facts(first)
    merge_sums([first, second])
    assert facts(first) == before


def test_counts_by_hand():
    light = tracks_of(num_tracks=4, weight=np.array([0.5, 0.25, 0.0, 1.0], np.float32))
    kept = clip_of("kept", tracks=light, license="CC0-1.0")
    held = clip_of("held", ("letterbox",), tracks=light)
    summary = summary_of(sum_clips(3, [kept, held, failed("bad")], RULES))
    assert summary.decisions == {"keep": 1, "quarantine": 1, "drop": 0, "error": 1}
    assert summary.reasons == {"contract": 1, "letterbox": 1}
    assert summary.licenses == {"CC-BY-4.0": 1, "CC0-1.0": 1, "unknown": 1}
    assert (summary.video_s, summary.video_s_kept, summary.num_frames) == (pytest.approx(3.6), 1.6, 20)
    assert (summary.num_tracks, summary.num_visible, summary.weight_sum, summary.trusted_tracks) == (8, 32, 3.5, 4)
    weight = summary.track_histograms[TRACK_HISTOGRAMS.index("weight")]
    assert (weight.measure, weight.counts[0], weight.counts[5], weight.counts[10], weight.counts[19], weight.unknown) == (
        "weight",
        2,
        2,
        2,
        2,
        0,
    )
    cycle = next(each for each in summary.track_histograms if each.measure == "fb_cycle")
    assert (sum(cycle.counts), cycle.unknown) == (6, 2)
    assert sum(summary.clip_histograms[0].counts) == 2
    (line,) = summary.shards
    assert (line.shard, line.num_clips, line.num_tracks, line.mean_weight, line.worst_reason) == (3, 3, 8, 3.5 / 8, "contract")
    assert line.keep_share == pytest.approx(1 / 3)


def test_unknown_probabilities_are_counted_as_unknown():
    summary = summary_of(sum_clips(0, [clip_of("a", tracks=tracks_of(bad_probability=None))], RULES))
    assert summary.track_histograms[TRACK_HISTOGRAMS.index("bad_probability")].unknown == 3


def test_groups_show_what_training_would_see():
    measures = {**tracks_of(num_tracks=4).measures, "static_score": np.array([0.9, 0.1, np.nan, 0.6], np.float32)}
    places = np.array([[0, 0, 0], [0, 63, 0], [0, 63, 31], [0, -0.5, 31.5]], np.float32)  # the four corners of 64 x 32
    tracks = tracks_of(num_tracks=4, weight=np.array([0.5, 0.25, 0.125, 1.0], np.float32), queries=places, measures=measures)
    masses = {mass.group: mass for mass in summary_of(sum_clips(0, [clip_of("kept", tracks=tracks)], RULES)).masses}
    assert (masses["motion: static"].num_tracks, masses["motion: static"].weight) == (2, 1.5)
    assert (masses["motion: dynamic"].weight, masses["motion: undecided"].weight) == (0.25, 0.125)
    assert [masses[f"cell: {cell}"].weight for cell in ("0,0", "0,7", "7,7", "7,0")] == [0.5, 0.25, 0.125, 1.0]
    dropped = {mass.group: mass for mass in summary_of(sum_clips(0, [clip_of("away", ("dark",), tracks=tracks)], RULES)).masses}
    assert (dropped["motion: static"].num_tracks, dropped["motion: static"].weight) == (2, 0.0)


def test_speeds_are_cut_in_thirds():
    speed = np.array([0.1, 0.2, 0.3, 1.0, 2.0, 3.0, 10.0, 20.0, 30.0, np.nan], np.float32)
    weight = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.75], np.float32)
    part = sum_clips(0, [clip_of("a", tracks=tracks_of(num_tracks=10, speed_px=speed, weight=weight))], RULES)
    masses = {mass.group: mass for mass in summary_of(part).masses}
    assert [masses[group].num_tracks for group in SPEED_THIRDS] == [3, 3, 3]
    assert [masses[group].mean for group in SPEED_THIRDS] == pytest.approx([1.0, 0.5, 0.25])
    assert (masses["speed: unknown"].num_tracks, masses["speed: unknown"].weight) == (1, 0.75)


def test_equal_speeds_are_shared_out():
    tracks = tracks_of(num_tracks=5, speed_px=np.full(5, 2.0, np.float32), weight=np.full(5, 0.5, np.float32))
    masses = {mass.group: mass for mass in summary_of(sum_clips(0, [clip_of("a", tracks=tracks)], RULES)).masses}
    assert [masses[group].num_tracks for group in SPEED_THIRDS] == [1, 2, 2]
    assert [masses[group].mean for group in SPEED_THIRDS] == pytest.approx([0.5, 0.5, 0.5])


def test_the_lists_hold_the_right_clips_and_no_more():
    weights = np.linspace(0.05, 0.95, 60)
    clips = [clip_of(f"c{place:02d}", tracks=tracks_of(weight=np.full(3, weight, np.float32))) for place, weight in enumerate(weights)]
    bad = [failed(f"bad{place:02d}") for place in range(12)]
    whole = sum_clips(0, [*clips[::-1], *bad], RULES)
    summary = summary_of(whole)
    assert len(whole.errors) == NUM_ERRORS
    assert {brief.verdict.decision for brief in summary.worst[:NUM_ERRORS]} == {"error"}
    assert [brief.key for brief in summary.worst[NUM_ERRORS:]] == [f"c{place:02d}" for place in range(NUM_LOWEST - NUM_ERRORS)]
    assert len({brief.key for brief in summary.random_keeps}) == len(summary.random_keeps) == NUM_KEEPS
    assert summary.worst[NUM_ERRORS].mean_weight == pytest.approx(0.05, abs=1 / UNIT)


def test_a_kept_clip_is_never_worse_than_one_that_is_not():
    def weighing(key: str, weight: float, *reasons: str) -> ClipAudit:
        return clip_of(key, reasons, tracks=tracks_of(weight=np.full(3, weight, np.float32)))

    unlabelled = ClipAudit(key="dark", verdict=verdict_of(["dark"]))
    clips = [weighing("kept-low", 0.1), weighing("kept-high", 0.9), weighing("set-aside", 0.8, "flicker"), weighing("dropped", 0.3, "dark")]
    summary = summary_of(sum_clips(0, [*clips, unlabelled, failed("bad")], RULES))
    assert [brief.key for brief in summary.worst] == ["bad", "dropped", "set-aside", "dark", "kept-low", "kept-high"]


def test_borderline_are_the_clips_within_a_tenth_of_a_limit_nearest_first():
    def clip(key: str, flicker: float) -> ClipAudit:
        found = clip_of(key)
        far = {"bad_probability_mean": 0.1, "survival_4": 1.0, "collapse_share": 0.0, "deaths_max": 0.0, "cover_entropy": 1.0}
        return replace(found, measures=replace(found.measures, usable_tracks=640, stuck_share=0.0, flicker_mean=flicker, **far))

    near = [clip(f"n{place:02d}", 0.2 * (1 - 0.005 * place)) for place in range(15)]
    summary = summary_of(sum_clips(0, [clip("far", 0.1), *near[::-1]], RULES))
    assert [brief.key for brief in summary.borderline] == [f"n{place:02d}" for place in range(NUM_BORDERLINE)]
    assert summary_of(sum_clips(0, [clip("far", 0.1)], RULES)).borderline == ()


def test_the_nearest_limit_counts():
    measures = clip_of("a").measures
    far = replace(
        measures, usable_tracks=640, bad_probability_mean=float("nan"), survival_4=1.0, collapse_share=0.0, flicker_mean=0.0,
        deaths_max=0.0, cover_entropy=0.9, stuck_share=0.0,
    )  # fmt: skip
    assert limit_distance(far, RULES) == pytest.approx(0.5)  # 0.9 against 0.6
    assert limit_distance(replace(far, flicker_mean=0.19), RULES) == pytest.approx(0.05)
    assert limit_distance(replace(far, flicker_mean=0.21), RULES) == pytest.approx(0.05)


def test_nothing_gives_an_empty_summary():
    summary = summary_of(merge_sums([]))
    assert (summary.num_clips, summary.num_tracks, summary.shards, summary.worst) == (0, 0, (), ())
    assert [mass.num_tracks for mass in summary.masses] == [0, 0, 0]
