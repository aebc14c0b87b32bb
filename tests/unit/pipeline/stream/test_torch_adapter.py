import json
from itertools import islice
from pathlib import Path

import pytest
import torch

from pipeline.errors import DataError
from pipeline.layout import Layout
from pipeline.shards.index import read_index
from pipeline.shards.tombstones import write_tombstones
from pipeline.stream import ClipStream, StreamConfig
from pipeline.stream.torch_adapter import ResumableLoader, TorchClipDataset


@pytest.fixture(name="root")
def _root(make_root):
    root = make_root(failed=frozenset(["s0c1"]), uncommitted=frozenset([3]))
    write_tombstones(root, ["s2c0"])
    return root


def make_config(root, **options):
    return StreamConfig(root=root, **{"num_frames": 2, **options})


def take(samples, count):
    return [(sample.index, sample.key) for sample in islice(samples, count)]


def spoil(root, shard, key):
    entry = next(entry for entry in read_index(root, shard) if entry.key == key)
    with Path(Layout(root).shard_tar(shard)).open("r+b") as file:
        file.seek(entry.video.offset + 40)
        file.write(bytes(64))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with fewer cores
@pytest.mark.parametrize("num_workers", [0, 2, 3])
def test_workers_do_not_change_the_order(root, num_workers):
    for options in ({}, {"rank": 1, "world_size": 2}, {"rank": 0, "world_size": 3}, {"rank": 2, "world_size": 3}):
        config = make_config(root, epochs=2, **options)
        assert take(ResumableLoader(config, num_workers=num_workers), 99) == take(ClipStream(config), 99)


def test_a_plain_data_loader_gives_the_same_order(root):
    config = make_config(root, epochs=1)
    loader = torch.utils.data.DataLoader(TorchClipDataset(config), batch_size=None, num_workers=2)
    assert take(loader, 99) == take(ClipStream(config), 99)


def test_a_spawned_worker_reads_the_same(root):
    config = make_config(root, epochs=1)
    assert take(ResumableLoader(config, num_workers=1, start_method="spawn"), 99) == take(ClipStream(config), 99)


def test_a_state_counts_what_was_delivered_and_not_what_was_read_ahead(root):
    alone = take(ClipStream(make_config(root)), 40)
    loaders = [ResumableLoader(make_config(root, rank=rank, world_size=2), num_workers=2, prefetch_factor=4) for rank in range(2)]
    shares = [take(loader, 5) for loader in loaders]
    states = [json.loads(json.dumps(loader.state_dict())) for loader in loaders]
    assert states[0] == states[1]
    resumed = [ResumableLoader(make_config(root, rank=rank, world_size=3), num_workers=rank) for rank in range(3)]
    for loader in resumed:
        loader.load_state_dict(states[1])
    later = [take(loader, 4) for loader in resumed]
    assert [place for shares in (shares, later) for turn in zip(*shares, strict=True) for place in turn] == alone[:22]


def test_a_skipped_clip_leaves_the_workers_in_step(root):
    config = make_config(root, epochs=2, on_error="skip")
    before = take(ClipStream(config), 99)
    spoil(root, 2, "s2c1")
    for num_workers in (0, 2):
        loader = ResumableLoader(config, num_workers=num_workers)
        assert take(loader, 99) == [place for place in before if place[1] != "s2c1"]
        assert loader.num_skipped == 2


def test_an_error_in_a_worker_comes_in_its_turn_and_names_the_clip(root):
    config = make_config(root)
    before = take(ClipStream(config), 10)
    spoil(root, 2, "s2c1")
    delivered = []
    with pytest.raises(DataError, match="^[^\n]*root: shard 000002, clip s2c1: the video's sha256[^\n]*$"):
        delivered.extend((sample.index, sample.key) for sample in ResumableLoader(config, num_workers=2))
    assert delivered == before[: [key for _, key in before].index("s2c1")]


def test_loading_draws_nothing_from_the_global_generator(root):
    before = torch.get_rng_state()
    take(ResumableLoader(make_config(root, epochs=1), num_workers=1), 3)
    assert torch.equal(torch.get_rng_state(), before)
