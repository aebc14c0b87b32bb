from itertools import islice

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.stream.order import ClipOrder, permutation

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
