from itertools import islice

import pytest

from pipeline.errors import DataError
from pipeline.labels import write_label_shard
from pipeline.layout import Layout
from pipeline.shards.index import read_index, write_index
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.tombstones import read_tombstones, write_tombstones
from pipeline.stream import StreamConfig, catalog
from pipeline.stream.catalog import ShardCatalog
from pipeline.stream.order import ClipOrder
from pipeline.stream.survivors import survivors


def walk(root, *, start=0, end=None, **options):
    config = StreamConfig(root=root, **options)
    plan = read_plan_counts(root)
    order = ClipOrder(shards=plan.shards, counts=plan.counts(config.split), seed=config.seed, block_shards=config.shuffle_block)
    return survivors(order, ShardCatalog(config, read_tombstones(root), read_plan_counts(root)), start=start, end=end)


def keys_of_epoch(root, num_planned=10, **options):
    return sorted(survivor.entry.key for survivor in walk(root, end=num_planned, **options))


EVERY_KEY = ["s0c0", "s0c1", "s0c2", "s1c0", "s1c1", "s2c0", "s2c1", "s2c2", "s2c3", "s3c0"]


def test_all_planned_clips_survive_when_nothing_is_wrong(make_root):
    assert keys_of_epoch(make_root()) == EVERY_KEY


def test_failed_uncommitted_and_tombstoned_clips_are_left_out(make_root):
    root = make_root(failed=frozenset(["s0c1"]), uncommitted=frozenset([1]))
    write_tombstones(root, ["s2c0"], ["source-of-s3c0"])
    assert keys_of_epoch(root) == ["s0c0", "s0c2", "s2c1", "s2c2", "s2c3"]


def test_an_uncommitted_shard_is_told_of_once(make_root, caplog):
    list(walk(make_root(uncommitted=frozenset([1])), end=20))
    assert [record.message.count("000001.parquet: not committed, its 2 planned clips") for record in caplog.records] == [1]


def test_only_clips_with_ok_labels_survive_when_labels_are_asked_for(make_root, label):
    root = make_root(failed=frozenset(["s0c1"]))
    name = label(root, [0, 1, 3], bad={"s0c0": "failed", "s1c0": "screened", "s3c0": "quarantined"})
    assert keys_of_epoch(root, labels=name) == ["s0c2", "s1c1"]
    assert len(keys_of_epoch(root)) == 9


def test_short_clips_are_left_out_on_demand_by_the_index_alone(make_root):
    root = make_root(num_clips=(2, 1), num_frames={"s0c0": 4, "s0c1": 5, "s1c0": 6})
    options = {"num_frames": 3, "frame_stride": 2}
    assert keys_of_epoch(root, 3, short_clips="skip", **options) == ["s0c1", "s1c0"]
    assert len(keys_of_epoch(root, 3, **options)) == 3


def test_leaving_clips_out_moves_no_other_clip_from_its_index(make_root):
    root = make_root()
    before = {survivor.index: survivor.entry.key for survivor in walk(root, end=30)}
    write_tombstones(root, ["s2c0", "s0c1"])
    after = {survivor.index: survivor.entry.key for survivor in walk(root, end=30)}
    assert len(after) == 24
    assert after.items() <= before.items()


def test_a_split_is_walked_alone(make_root):
    val = frozenset(["s0c0", "s2c1", "s2c3"])
    root = make_root(val=val)
    assert keys_of_epoch(root, 3, split="val") == sorted(val)
    assert keys_of_epoch(root, 7, split="train") == sorted(set(EVERY_KEY) - val)


def test_starting_at_an_index_opens_the_shards_of_its_block_and_no_others(make_root, monkeypatch):
    root, opened = make_root(num_clips=(2,) * 12), []

    def spy(root, shard, **how):
        opened.append(shard)
        return read_index(root, shard, **how)

    monkeypatch.setattr(catalog, "read_index", spy)
    next(walk(root, start=24 * 1000 + 13, shuffle_block=3))  # epoch 1000, third block of four
    assert len(opened) == 1
    list(islice(walk(root, start=24 * 1000 + 13, shuffle_block=3), 5))
    assert len(opened) <= 1 + 3


def test_each_shard_is_opened_once_per_epoch(make_root, monkeypatch):
    root, opened = make_root(num_clips=(2,) * 12), []

    def spy(root, shard, **how):
        opened.append(shard)
        return read_index(root, shard, **how)

    monkeypatch.setattr(catalog, "read_index", spy)
    list(walk(root, end=24, shuffle_block=2))
    assert sorted(opened) == list(range(12))


def test_an_epoch_without_a_clip_to_deliver_ends_in_an_error_that_counts_the_reasons(make_root, label):
    root = make_root(failed=frozenset(["s0c1"]), uncommitted=frozenset([1]))
    name = label(root, [0], bad={"s0c0": "failed", "s0c2": "screened"})
    write_tombstones(root, ["s3c0"])
    expected = r"none of the 10 planned clips .*1 failed, 1 labels failed, 1 labels screened, 2 not committed, 4 not labelled, 1 tombstoned"
    for start, end in ((0, None), (0, 10), (7, None)):
        with pytest.raises(DataError, match=expected):
            list(walk(root, labels=name, start=start, end=end))


def test_a_lone_survivor_keeps_the_walk_alive_wherever_it_stands(make_root):
    root = make_root()
    write_tombstones(root, EVERY_KEY[1:])
    found = list(islice(walk(root), 6))
    assert [survivor.entry.key for survivor in found] == ["s0c0"] * 6
    assert [survivor.index // 10 for survivor in found] == list(range(6))


def test_labels_made_on_another_video_are_refused(make_root, label):
    root = make_root()
    name = label(root, range(4), sha256="0" * 64)
    with pytest.raises(DataError, match=r"labelled on another video .*run jobs/pseudolabel.py again"):
        next(walk(root, labels=name))


def test_a_clip_that_the_label_file_does_not_know_is_refused(make_root, label):
    root = make_root(num_clips=(2,))
    name = label(root, [0])
    write_label_shard(root, name, shard=0, rows=[])
    with pytest.raises(DataError, match=r"no row for clip s0c.*run jobs/pseudolabel.py again"):
        next(walk(root, labels=name))


def test_a_shard_of_another_plan_is_refused(make_root):
    root = make_root()
    write_index(root, 2, read_index(root, 2)[:-1])
    with pytest.raises(DataError, match=r"000002.parquet: 3 clips, the plan has 4: it was cut by another plan"):
        list(walk(root, end=10))
    assert Layout(root).shard_index(2).endswith("000002.parquet")
