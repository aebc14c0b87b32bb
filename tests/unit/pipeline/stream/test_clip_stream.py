import json
import logging
import subprocess
import sys
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.layout import Layout
from pipeline.shards.index import read_index
from pipeline.shards.tombstones import write_tombstones
from pipeline.stream import ClipStream, StreamConfig

SHORT = {"num_frames": 2}


def make_stream(root, **options):
    return ClipStream(StreamConfig(root=root, **{**SHORT, **options}))


def take(stream, count):
    return [(sample.index, sample.key) for sample in islice(stream, count)]


def interleaved(shares):
    """One from each in turn, as ranks reading side by side."""
    return [item for turn in zip_longest(*shares) for item in turn if item is not None]


@pytest.fixture(name="root_with_gaps")
def _root_with_gaps(make_root, label):
    """Ten planned clips, of which one failed, one is not committed, one is tombstoned, two have no labels."""
    root = make_root(num_clips=(3, 2, 4, 1), failed=frozenset(["s0c1"]), uncommitted=frozenset([3]))
    name = label(root, [0, 1, 2], bad={"s1c0": "failed", "s2c3": "screened"})
    write_tombstones(root, source_ids=["source-of-s2c0"])
    return root, name


def test_ranks_in_turn_give_the_sequence_of_one(make_root):
    root = make_root()
    alone = take(make_stream(root), 30)
    assert [index for index, _ in alone] == list(range(30))
    for world_size in (2, 3):
        shares = [take(make_stream(root, rank=rank, world_size=world_size), 30 // world_size) for rank in range(world_size)]
        assert interleaved(shares) == alone
        assert [index % world_size for index, _ in shares[1]] == [1] * (30 // world_size)


def test_ranks_in_turn_give_the_sequence_of_one_when_clips_are_left_out(root_with_gaps):
    root, labels = root_with_gaps
    alone = take(make_stream(root, labels=labels), 24)
    assert len({key for _, key in alone}) == 5
    for world_size in (2, 3):
        shares = [take(make_stream(root, labels=labels, rank=rank, world_size=world_size), 24 // world_size) for rank in range(world_size)]
        assert interleaved(shares) == alone


def test_workers_in_turn_give_the_share_of_their_rank(root_with_gaps):
    root, labels = root_with_gaps
    options = {"labels": labels, "rank": 1, "world_size": 2}
    share = take(make_stream(root, **options), 12)
    workers = [take(make_stream(root, **options).items(worker=worker, num_workers=3), 4) for worker in range(3)]
    assert interleaved(workers) == share


def test_one_epoch_gives_every_clip_exactly_once(root_with_gaps, make_root):
    for world_size in (1, 2, 3):
        shares = [
            [sample.key for sample in make_stream(make_root("whole"), epochs=1, rank=r, world_size=world_size)] for r in range(world_size)
        ]
        assert len(sum(shares, [])) == len(set(sum(shares, []))) == 10
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    root, labels = root_with_gaps
    assert sorted(sample.key for sample in make_stream(root, labels=labels, epochs=1)) == ["s0c0", "s0c2", "s1c1", "s2c1", "s2c2"]


def test_epochs_differ_in_order(make_root):
    keys = [sample.key for sample in make_stream(make_root(), epochs=2)]
    assert sorted(keys[:10]) == sorted(keys[10:])
    assert keys[:10] != keys[10:]


@pytest.mark.parametrize("gaps", [False, True])
def test_a_state_saved_on_two_ranks_continues_on_three(gaps, root_with_gaps, make_root):
    root, labels = root_with_gaps if gaps else (make_root("whole"), None)
    alone = take(make_stream(root, labels=labels), 40)
    for taken in range(6):
        streams = [make_stream(root, labels=labels, rank=rank, world_size=2) for rank in range(2)]
        shares = [take(stream, taken) for stream in streams]
        states = [json.loads(json.dumps(stream.state_dict())) for stream in streams]
        assert states[0] == states[1]
        resumed = [make_stream(root, labels=labels, rank=rank, world_size=3) for rank in range(3)]
        for stream in resumed:
            stream.load_state_dict(states[0])
        later = [take(stream, 4) for stream in resumed]
        assert interleaved(shares) + interleaved(later) == alone[: 2 * taken + 12]
        assert len({json.dumps(stream.state_dict()) for stream in resumed}) == 1
        last = make_stream(root, labels=labels)
        last.load_state_dict(resumed[2].state_dict())
        assert take(last, 3) == alone[2 * taken + 12 : 2 * taken + 15]


def test_the_state_in_the_last_uneven_turn_is_the_end(make_root):
    streams = [make_stream(make_root(), epochs=1, rank=rank, world_size=3) for rank in range(3)]
    assert [len(list(stream)) for stream in streams] == [4, 3, 3]
    assert [stream.state_dict()["index"] for stream in streams] == [10, 10, 10]
    again = make_stream(streams[0].config.root, epochs=1)
    again.load_state_dict(streams[1].state_dict())
    assert list(again) == []


def test_the_state_within_the_last_uneven_turn_is_the_end_too(make_root):
    root = make_root()
    write_tombstones(root, [key for index, key in take(make_stream(root), 10) if index > 6])
    stream = make_stream(root, epochs=1, rank=0, world_size=3)
    assert take(stream, 3)[-1][0] == 6
    assert stream.state_dict()["index"] == 10


def test_iterating_again_begins_where_the_stream_was_set(make_root):
    stream = make_stream(make_root(), epochs=1)
    assert take(stream, 10) == take(stream, 10)
    stream.load_state_dict({**stream.state_dict(), "index": 7})
    assert [index for index, _ in take(stream, 10)] == [7, 8, 9]
    assert stream.state_dict()["index"] == 10


def test_a_state_of_another_sequence_is_refused(make_root, label):
    root, other = make_root(), make_root("other", num_clips=(3, 2, 4, 2))
    name = label(root, [0])
    state = make_stream(root).state_dict()
    for differing, stream in {
        "plan_hash": make_stream(other), "seed": make_stream(root, seed=1), "split": make_stream(root, split="train"),
        "labels": make_stream(root, labels=name), "shuffle_block": make_stream(root, shuffle_block=2),
    }.items():  # fmt: skip
        with pytest.raises(ConfigError, match=f"of another sequence of clips: {differing} is "):
            stream.load_state_dict(state)


def test_an_unknown_label_set_or_split_is_heard_of_at_once(make_root):
    root = make_root()
    with pytest.raises(ConfigError, match="no label set 'nobody-00000000'"):
        make_stream(root, labels="nobody-00000000")
    with pytest.raises(ConfigError, match="check the split"):
        make_stream(root, split="test")


def test_a_sample_holds_the_frames_that_it_names(make_root):
    for sample in islice(make_stream(make_root(num_frames=9), num_frames=3, frame_stride=2), 20):
        levels = sample.frames.reshape(3, -1).mean(1)
        np.testing.assert_allclose(levels, 40 + 8 * sample.frame_indices, atol=2.5)
        np.testing.assert_allclose(sample.frame_times, sample.frame_indices / 10)
        assert np.diff(sample.frame_indices).tolist() == [2, 2]
        assert (sample.source, sample.split, sample.license) == (f"{sample.key}.mp4", "train", "CC0")
        assert sample.extra == {"caption": f"clip {sample.key}"}
        assert sample.supervision == "pseudo"
        assert sample.tracks2d is None


def test_labels_come_for_the_same_frames(make_root, label):
    root = make_root(num_frames=9)
    for sample in islice(make_stream(root, labels=label(root, range(4)), num_frames=4), 20):
        at = sample.frame_indices
        assert sample.tracks2d[:, 1].tolist() == [[1 + t, 2] for t in at]
        assert sample.visibility.tolist() == [[t != n for n in range(3)] for t in at]
        assert sample.query_frame.tolist() == [n - at[0] if n in at else -1 for n in range(3)]
        np.testing.assert_allclose(sample.confidence, 0.6)


@pytest.mark.parametrize("size", [(24, 32), (12, 48), (48, 64)])
def test_a_mark_is_found_where_its_resized_track_says(size, make_root, label):
    frames = np.full((3, 48, 64, 3), 30, np.uint8)
    frames[:, 12:20, 24:36] = 230  # centre at x 29.5, y 15.5
    arrays = {"tracks2d": np.full((3, 1, 2), (29.5, 15.5), np.float32), "visibility": np.ones((3, 1), bool)}
    camera = np.tile(np.array([[40.0, 0, 29.5], [0, 40, 15.5], [0, 0, 1]], np.float32), (3, 1, 1))  # the mark lies on the axis
    root = make_root(num_clips=(1,), videos={"s0c0": frames}, arrays={"s0c0": arrays | {"intrinsics": camera}})
    sample = next(iter(make_stream(root, size=size, fit="stretch")))
    assert sample.frames.shape == (2, *size, 3)
    weight = np.maximum(sample.frames[0, :, :, 1].astype(float) - 40, 0)
    found = [(weight.sum(0) @ np.arange(size[1])) / weight.sum(), (weight.sum(1) @ np.arange(size[0])) / weight.sum()]
    np.testing.assert_allclose(sample.tracks2d[0, 0], found, atol=0.06)
    np.testing.assert_allclose(sample.intrinsics[0, :2, 2], found, atol=0.06)
    np.testing.assert_allclose(sample.intrinsics[0, [0, 1], [0, 1]], [40 * size[1] / 64, 40 * size[0] / 48])


def test_truth_makes_a_clip_metric_and_labels_replace_its_tracks_alone(make_root, label):
    arrays = {
        "tracks2d": np.zeros((6, 7, 2), np.float32), "visibility": np.ones((6, 7), bool), "depth": np.ones((6, 24, 32), np.float16),
        "camera_to_world": np.tile(np.eye(4, dtype=np.float32), (6, 1, 1)),
    }  # fmt: skip
    root = make_root(num_clips=(1,), arrays={"s0c0": arrays}, is_metric=True)
    name = label(root, [0])
    true, labelled = next(iter(make_stream(root))), next(iter(make_stream(root, labels=name)))
    assert (true.supervision, true.is_metric, true.pose_source) == ("metric", True, "gt")
    assert true.tracks2d.shape == (2, 7, 2)
    assert labelled.tracks2d.shape == (2, 3, 2)
    assert labelled.depth.shape == (2, 24, 32)


def spoil(root, key):
    """Overwrite a part of the clip's video in its tar."""
    entry = next(entry for entry in read_index(root, int(key[1])) if entry.key == key)
    with Path(Layout(root).shard_tar(int(key[1]))).open("r+b") as file:
        file.seek(entry.video.offset + entry.video.length // 2)
        file.write(bytes(64))


def test_a_damaged_clip_is_an_error_that_names_it(make_root):
    root = make_root()
    spoil(root, "s2c1")
    with pytest.raises(
        DataError, match=r"root: shard 000002, clip s2c1: the video's sha256 is .* make this shard again, or stream with on_error"
    ):
        list(make_stream(root, epochs=1))


def test_a_damaged_clip_is_skipped_and_counted_on_demand_and_the_others_keep_their_order(make_root, caplog):
    root = make_root()
    before = [(sample.index, sample.key) for sample in make_stream(root, epochs=2)]
    spoil(root, "s2c1")
    stream = make_stream(root, epochs=2, on_error="skip")
    with caplog.at_level(logging.WARNING):
        assert [(sample.index, sample.key) for sample in stream] == [place for place in before if place[1] != "s2c1"]
    assert stream.num_skipped == 2
    assert sum("skipped: " in record.message and "clip s2c1" in record.message for record in caplog.records) == 2


def test_skipping_ends_when_nothing_can_be_read(make_root):
    root = make_root()
    for shard in range(4):
        Path(Layout(root).shard_tar(shard)).write_bytes(b"")
    stream = make_stream(root, on_error="skip", max_skips_in_row=4)
    with pytest.raises(Exception, match=r"shard 00000\d, clip s\dc\d: .*the file was cut short or replaced"):
        list(stream)
    assert stream.num_skipped == 4


def test_bad_clips_that_do_not_follow_each_other_are_all_skipped(make_root):
    root = make_root()
    keys = [key for _, key in take(make_stream(root), 10)]
    for key in keys[::2]:
        spoil(root, key)
    stream = make_stream(root, epochs=1, on_error="skip", max_skips_in_row=1)
    assert [sample.key for sample in stream] == keys[1::2]
    assert stream.num_skipped == 5


def test_reading_loads_neither_ray_nor_torch_nor_a_labeler():
    program = "import sys, pipeline.stream; print(sorted({'ray', 'torch', 'labelers', 'typer', 'jobs'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4])
    assert found.stdout.strip() == "[]"
