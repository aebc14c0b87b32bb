import json
import pickle
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.shards.tombstones import write_tombstones
from pipeline.stream import ClipStream, MixtureConfig, MixtureStream, StreamConfig
from pipeline.stream.torch_adapter import ResumableLoader

WEIGHTS = (0.5, 0.3, 0.2)


@pytest.fixture(name="parts")
def _parts(make_root, label):
    """A metric dataset, a plain one with gaps, and one of pseudo labels."""
    arrays = {"tracks2d": np.zeros((6, 7, 2), np.float32), "visibility": np.ones((6, 7), bool)}
    metric = make_root("metric", num_clips=(2, 3), arrays={"s0c0": arrays, "s1c1": arrays}, is_metric=True)
    plain = make_root("plain", failed=frozenset(["s0c1"]), uncommitted=frozenset([3]))
    write_tombstones(plain, ["s2c0"])
    wild = make_root("wild", num_clips=(3,), arrays={"s0c0": arrays}, is_metric=True)
    options = [{"root": metric}, {"root": plain, "seed": 4}, {"root": wild, "labels": label(wild, [0]), "arrays": False}]
    return [(StreamConfig(num_frames=2, **option), weight) for option, weight in zip(options, WEIGHTS, strict=True)]


def take(stream, count):
    return [(sample.dataset, sample.index, sample.key) for sample in islice(stream, count)]


def interleaved(shares):
    return [item for turn in zip(*shares, strict=True) for item in turn]


def ranks(parts, world_size, state=None):
    streams = [MixtureStream(MixtureConfig(parts=parts, seed=1, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for stream in streams:
        if state is not None:
            stream.load_state_dict(state)
    return streams


def test_each_dataset_keeps_the_order_that_it_has_alone(parts):
    mixed = take(MixtureStream(MixtureConfig(parts=parts)), 60)
    for config, _ in parts:
        own = [item for item in mixed if item[0] == config.dataset]
        assert len(own) > 5
        assert own == take(ClipStream(config), len(own))


def test_samples_come_in_proportion_to_the_weights(parts):
    found = Counter(name for name, *_ in take(MixtureStream(MixtureConfig(parts=parts)), 256))
    np.testing.assert_allclose([found[name] / 256 for name in ("metric", "plain", "wild")], WEIGHTS, atol=0.02)


def test_samples_say_their_dataset_and_supervision_and_hold_what_belongs_to_it(parts):
    kinds = set()
    for sample in islice(MixtureStream(MixtureConfig(parts=parts)), 40):
        kinds.add((sample.dataset, sample.supervision, sample.is_metric))
        if sample.dataset == "wild":  # labels alone, though the clip has truth
            assert sample.tracks2d.shape == (2, 3, 2)
            assert sample.confidence is not None
    assert kinds == {("metric", "metric", True), ("plain", "pseudo", False), ("wild", "pseudo", False)}


def test_a_part_may_be_given_another_name(parts):
    (config, _), *_ = parts
    renamed = StreamConfig(root=config.root, name="kubric", num_frames=2)
    assert {name for name, *_ in take(MixtureStream(MixtureConfig(parts=[(renamed, 2)])), 3)} == {"kubric"}


def test_ranks_in_turn_give_the_sequence_of_one(parts):
    (alone,) = ranks(parts, 1)
    whole = take(alone, 36)
    for world_size in (2, 3):
        assert interleaved([take(stream, 36 // world_size) for stream in ranks(parts, world_size)]) == whole


def test_workers_in_turn_give_the_share_of_their_rank(parts):
    share = take(ranks(parts, 2)[1], 12)
    workers = [take(ranks(parts, 2)[1].items(worker=worker, num_workers=3), 4) for worker in range(3)]
    assert interleaved(workers) == share


def test_a_state_saved_on_two_ranks_continues_on_three(parts):
    (alone,) = ranks(parts, 1)
    whole = take(alone, 60)
    for taken in (0, 1, 2, 5, 11):
        streams = ranks(parts, 2)
        shares = [take(stream, taken) for stream in streams]
        states = [json.loads(json.dumps(stream.state_dict())) for stream in streams]
        assert states[0] == states[1]
        assert states[0]["place"] == 2 * taken
        resumed = ranks(parts, 3, states[0])
        later = [take(stream, 4) for stream in resumed]
        assert interleaved(shares) + interleaved(later) == whole[: 2 * taken + 12]
        assert len({json.dumps(stream.state_dict()) for stream in resumed}) == 1
        (last,) = ranks(parts, 1, resumed[2].state_dict())
        assert take(last, 5) == whole[2 * taken + 12 : 2 * taken + 17]


def test_a_loaded_state_is_given_back_before_anything_is_taken(parts):
    (stream,) = ranks(parts, 1)
    take(stream, 7)
    state = stream.state_dict()
    (again,) = ranks(parts, 1, state)
    assert again.state_dict() == state


def test_a_state_opens_no_shard_that_lies_behind(parts, monkeypatch):
    (stream,) = ranks(parts, 1)
    take(stream, 400)
    state, opened = stream.state_dict(), []
    (again,) = ranks(parts, 1, state)
    for part in again._streams:
        read = part._catalog._read
        monkeypatch.setattr(part._catalog, "_read", lambda shard, planned, read=read: opened.append(shard) or read(shard, planned))
    take(again, 1)
    assert len(opened) <= 4, "a block of one dataset"


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_torch_loader_gives_the_same_and_counts_what_was_delivered(parts, num_workers):
    config = MixtureConfig(parts=parts, seed=1, rank=1, world_size=2)
    loader = ResumableLoader(config, num_workers=num_workers)
    first = take(loader, 7)
    (alone,) = ranks(parts, 1)
    assert first == take(alone, 14)[1::2]
    other = MixtureStream(config)
    take(other, 7)
    assert loader.state_dict() == other.state_dict()
    resumed = ResumableLoader(config, num_workers=num_workers)
    resumed.load_state_dict(loader.state_dict())
    assert take(resumed, 4) == take(alone, 22)[15::2]


def test_a_clip_that_cannot_be_read_leaves_the_turns_in_step(parts, make_root):
    bad = make_root("bad", num_clips=(2,), arrays={"s0c0": {"tracks2d": np.zeros((9, 7, 2), np.float32)}})
    mixture = [parts[0], (StreamConfig(root=bad, num_frames=2, on_error="skip"), 0.5)]
    stream = MixtureStream(MixtureConfig(parts=mixture))
    found = take(stream, 30)
    assert stream.num_skipped > 3
    assert {key for name, _, key in found if name == "bad"} == {"s0c1"}
    metric = [item for item in found if item[0] == "metric"]
    assert metric == take(ClipStream(parts[0][0]), len(metric))


def test_a_dataset_with_nothing_to_deliver_is_named(parts, make_root):
    empty = make_root("empty", uncommitted=frozenset(range(4)))
    with pytest.raises(DataError, match="dataset empty: none of the 10 planned clips can be delivered"):
        take(MixtureStream(MixtureConfig(parts=[*parts, (StreamConfig(root=empty), 1.0)])), 20)


def test_a_state_of_another_mixture_is_refused(parts):
    (stream,) = ranks(parts, 1)
    state = stream.state_dict()
    for other in (MixtureConfig(parts=parts, seed=2), MixtureConfig(parts=[(config, 1) for config, _ in parts], seed=1)):
        with pytest.raises(ConfigError, match="the state is of another mixture: seed 1 of"):
            MixtureStream(other).load_state_dict(state)
    with pytest.raises(ConfigError, match="not a state of a mixture"):
        stream.load_state_dict(ClipStream(parts[0][0]).state_dict())
    state["parts"][1]["plan_hash"] = "another"
    with pytest.raises(ConfigError, match="another sequence of clips: plan_hash"):
        stream.load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": []}, "no parts"),
        ({"parts": [(StreamConfig(root="a/b"), 0)]}, "the weight of b is 0.0, expected above 0"),
        ({"parts": [(StreamConfig(root="a/b"), float("nan"))]}, "the weight of b is nan"),
        ({"parts": [(StreamConfig(root="a/b"), 1), (StreamConfig(root="c/b/"), 1)]}, "2 parts, more than one of them called b; set their"),
        ({"parts": [(StreamConfig(root="b", epochs=1), 1)]}, "part b sets rank, world_size or epochs"),
        ({"parts": [(StreamConfig(root="b", rank=1, world_size=2), 1)]}, "part b sets rank, world_size or epochs"),
        ({"rank": 2, "world_size": 2}, "rank 2 of world_size 2"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_a_wrong_mixture_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        MixtureConfig(**{"parts": [(StreamConfig(root="r"), 1)], **change})


def test_a_configuration_crosses_into_another_process(parts):
    config = MixtureConfig(parts=parts)
    assert pickle.loads(pickle.dumps(config)) == config
