"""Which clip, dataset and frames come at a place of the sequence."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.stream.config import StreamConfig
from pipeline.stream.order import ClipOrder, PartOrder, is_too_short, permutation, window_indices

SHARDS, COUNTS = np.array([0, 1, 2, 5, 7]), np.array([3, 1, 0, 4, 2])


def make_order(seed=0, **options):
    return ClipOrder(shards=SHARDS, counts=COUNTS, seed=seed, **{"block_shards": 2, **options})


def places(order, start, count):
    """(shard, clip) at each of `count` indices from `start` on."""
    blocks = order.blocks_from(start)
    walked = (
        (block.first + at, int(block.shards[s]), int(c))
        for block in blocks
        for at, (s, c) in enumerate(zip(block.shard_at, block.clip_at, strict=True))
    )
    return [(shard, clip) for index, shard, clip in islice((place for place in walked if place[0] >= start), count)]


ALL = sorted((int(shard), clip) for shard, count in zip(SHARDS, COUNTS, strict=True) for clip in range(count))


def test_every_epoch_holds_every_planned_clip_exactly_once():
    sequence = places(make_order(), 0, 50)
    assert all(sorted(sequence[epoch * 10 : epoch * 10 + 10]) == ALL for epoch in range(5))


def test_epochs_and_seeds_differ_in_order_and_a_seed_repeats_it():
    sequence = places(make_order(), 0, 20)
    assert sequence[:10] != sequence[10:]
    assert places(make_order(seed=1), 0, 10) != sequence[:10]
    assert places(make_order(), 0, 20) == sequence


def test_each_epoch_draws_the_shards_anew_and_the_clips_within_a_block_anew():
    order = ClipOrder(shards=np.arange(6), counts=np.full(6, 5), seed=0, block_shards=1)
    epochs = [[order.block_at(index) for index in range(start, start + 30, 5)] for start in (0, 30)]
    assert [int(block.shards[0]) for block in epochs[0]] != [int(block.shards[0]) for block in epochs[1]]
    assert [block.clip_at.tolist() for block in epochs[0]] != [block.clip_at.tolist() for block in epochs[1]]


def test_any_index_is_found_without_walking_to_it():
    order, far = make_order(), 7_000_000_000_003
    sequence = places(order, 0, 40)
    assert all(places(order, start, 40 - start) == sequence[start:] for start in range(40))
    assert sorted(places(order, far - 3, 10)) == ALL  # far - 3 begins an epoch


def test_a_block_mixes_the_clips_of_a_few_shards_that_follow_each_other():
    order = ClipOrder(shards=np.arange(40), counts=np.full(40, 16), seed=3, block_shards=4)
    block = order.block_at(100)
    assert block.first == 64
    assert block.end == 128
    assert sorted(block.shard_at.tolist()) == sorted(list(range(4)) * 16)
    changes = np.count_nonzero(np.diff(block.shard_at))
    assert changes > 30  # 63 steps between four shards; in shard order it would be 3
    assert block.shards.tolist() != sorted(block.shards.tolist())


def test_without_shuffling_the_plan_order_is_kept():
    assert places(make_order(shuffle=False), 0, 20) == ALL + ALL


def test_the_order_is_pinned_for_saved_states_rest_on_it():
    # Written down when the format was fixed; another order would make old states lose and repeat clips.
    assert permutation(8, 0, 0, 0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    assert places(make_order(seed=7), 0, 4) == [(7, 1), (0, 0), (0, 2), (7, 0)]


def test_a_plan_without_clips_is_refused():
    with pytest.raises(ConfigError, match="no clip to stream; check the split"):
        ClipOrder(shards=np.arange(2), counts=np.zeros(2, int), seed=0)


@pytest.mark.parametrize("weights", [(0.3, 0.3, 0.4), (1.0,), (0.02, 0.98), (5.0, 1.0, 1.0, 3.0)])
@pytest.mark.parametrize("seed", [0, 7])
def test_shares_hold_within_one_percent_over_every_stretch_of_two_thousand(weights, seed):
    order = PartOrder(weights=weights, seed=seed)
    wanted = np.array(weights) / sum(weights)
    for first in (0, 1, 333, 10**9):
        found = np.bincount(order.parts(first, first + 2000), minlength=len(weights)) / 2000
        np.testing.assert_allclose(found, wanted, atol=0.01)


def test_shares_hold_for_the_readers_of_every_world_size():
    order = PartOrder(weights=(0.3, 0.3, 0.4), seed=0)
    parts = order.parts(0, 64 * 2000)
    for world_size in (2, 5, 8, 13, 21, 34, 64):
        share = parts[3 % world_size :: world_size]
        np.testing.assert_allclose(np.bincount(share) / len(share), [0.3, 0.3, 0.4], atol=0.02)
        runs = np.diff(np.flatnonzero(np.diff(share)))
        assert runs.max() < 20, "no reader gets one dataset for long"


def test_a_place_has_one_part_however_it_is_reached():
    order = PartOrder(weights=(1.0, 2.0), seed=3)
    whole = order.parts(0, 700)
    assert list(islice(order.parts_from(250), 300)) == whole[250:550].tolist()
    np.testing.assert_array_equal(order.parts(130, 131), whole[130:131])
    assert order.parts(5, 5).tolist() == []


def test_another_seed_is_another_order():
    assert not np.array_equal(PartOrder(weights=(1.0, 1.0), seed=0).parts(0, 200), PartOrder(weights=(1.0, 1.0), seed=1).parts(0, 200))


def test_only_the_ratio_of_weights_counts():
    whole, shares = (PartOrder(weights=weights, seed=0).parts(0, 500) for weights in ((1.0, 3.0), (0.25, 0.75)))
    np.testing.assert_array_equal(whole, shares)


def test_the_order_is_the_same_for_ever():
    assert "".join(map(str, PartOrder(weights=(0.3, 0.3, 0.4), seed=0).parts(0, 40))) == "0122101122200012010220201010202221212221"


def make_config(**options):
    return StreamConfig(root="nowhere", **options)


def test_a_window_lies_inside_the_clip_at_the_stride():
    for index in range(200):
        window = window_indices(make_config(num_frames=3, frame_stride=2), index, 9)
        assert window.dtype == "int64"
        assert (window - window[0]).tolist() == [0, 2, 4]
        assert 0 <= window[0] <= 4


def test_every_possible_start_is_drawn_about_equally_often():
    starts = Counter(int(window_indices(make_config(num_frames=3), index, 6)[0]) for index in range(2000))
    assert set(starts) == {0, 1, 2, 3}
    assert all(400 < count < 600 for count in starts.values())  # 500 +- 5 standard deviations


def test_a_window_depends_on_seed_and_index_alone():
    window = window_indices(make_config(num_frames=4), 12, 50)
    assert (window == window_indices(make_config(num_frames=4, rank=1, world_size=3, size=(8, 8)), 12, 50)).all()
    others = {int(window_indices(make_config(num_frames=4, seed=seed), 12, 50)[0]) for seed in range(20)}
    assert len(others) > 5


def test_the_draw_is_pinned_for_a_saved_run_to_be_repeated():
    assert [int(window_indices(make_config(num_frames=4), index, 1000)[0]) for index in range(4)] == [94, 945, 653, 380]


def test_a_clip_that_just_fits_has_one_window():
    assert window_indices(make_config(num_frames=3, frame_stride=2), 5, 5).tolist() == [0, 2, 4]


def test_a_short_clip_comes_whole_at_the_stride():
    assert window_indices(make_config(num_frames=4, frame_stride=2), 5, 5).tolist() == [0, 2, 4]
    assert window_indices(make_config(num_frames=4, frame_stride=2), 5, 6).tolist() == [0, 2, 4]


def test_whole_clips_are_delivered_when_no_length_is_asked_for():
    assert window_indices(make_config(num_frames=None), 5, 4).tolist() == [0, 1, 2, 3]
    assert window_indices(make_config(num_frames=None, frame_stride=3), 5, 7).tolist() == [0, 3, 6]


@pytest.mark.parametrize(("num_stored", "expected"), [(4, True), (5, False)])
def test_only_skip_leaves_out_clips_shorter_than_a_window(num_stored, expected):
    assert is_too_short(make_config(num_frames=3, frame_stride=2, short_clips="skip"), num_stored) == expected
    assert not is_too_short(make_config(num_frames=3, frame_stride=2), num_stored)
    assert not is_too_short(make_config(num_frames=None, short_clips="skip"), 1)
