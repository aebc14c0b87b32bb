"""The webdataset pipeline beside ClipStream and beside plain tars: the same clips, members, tracks and weights."""

import io
import itertools
import logging
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import webdataset as wds
from torch.utils.data import DataLoader

from pipeline.errors import ConfigError, DataError
from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import DepthLabels, LabelSet
from pipeline.records.npz import read_npz
from pipeline.shards.index import read_index, write_index
from pipeline.shards.tombstones import write_tombstones
from pipeline.stream import ClipStream, StreamConfig, join_labels
from pipeline.stream.webdataset_pipeline import webdataset_pipeline


def whole(root, **options):
    return StreamConfig(root=root, **{"num_frames": None, "epochs": 1, **options})


def keys(samples):
    return [sample["__key__"] for sample in samples]


def decode(data):
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture
def judged(make_root, make_truth, label, audit):
    """A root with a failed, a tombstoned, an unlabelled and a dropped clip among ten, and its audited label set."""
    root = make_root(failed=frozenset({"s0c0"}), arrays={"s0c2": make_truth()})
    labels = label(root, range(4), bad={"s1c0": "screened"})
    audit(root, labels, range(4), reasons={"s2c0": ["few_tracks"]})
    write_tombstones(root, ["s0c1"], ["source-of-s2c3"])
    return root, labels


def test_samples_are_those_of_clip_stream_in_its_order(judged):
    root, labels = judged
    config = whole(root, audit=labels, seed=3, on_error="raise")
    samples, clips = list(webdataset_pipeline(config)), list(ClipStream(config))
    assert keys(samples) == [clip.key for clip in clips]
    assert sorted(keys(samples)) == ["s0c2", "s1c1", "s2c1", "s2c2", "s3c0"]
    for sample, clip in zip(samples, clips, strict=True):
        np.testing.assert_array_equal(decode(sample["mp4"]), clip.frames)
        for name, field in (
            ("tracks_px", clip.tracks2d),
            ("visibility", clip.visibility),
            ("confidence", clip.confidence),
            ("weight", clip.track_weights),
            ("frame_weights", clip.frame_weights),
            ("static_score", clip.static_score),
            ("pose_signal", clip.pose_signal),
        ):
            np.testing.assert_array_equal(sample[f"labels.{name}"], field, err_msg=name)
        assert (sample["labels.status"], sample["labels.verdict"]) == ("ok", clip.verdict)
        stored = read_npz(sample["arrays.npz"], ["depth"], shapes={}, what="", remedy="") if "arrays.npz" in sample else {}
        assert (clip.depth is None) == (not stored)
        for depth in stored.values():
            np.testing.assert_array_equal(depth, clip.depth)


def test_samples_are_those_that_plain_tars_and_join_labels_give(judged):
    root, labels = judged
    tars = sorted(map(str, Path(root, "shards").glob("*.tar")))
    plain = {sample["__key__"]: sample for sample in wds.WebDataset(tars, shardshuffle=False).map(join_labels(root, labels, labels))}
    for sample in webdataset_pipeline(whole(root, audit=labels)):
        other = plain[sample["__key__"]]
        assert sample.keys() == other.keys() - {"__local_path__"}
        for name, value in sample.items():
            np.testing.assert_array_equal(value, other[name], err_msg=name)


@pytest.mark.parametrize("by", ["environment", "configuration"])
def test_two_nodes_of_two_workers_give_every_clip_once_in_the_order_of_one(make_root, monkeypatch, by):
    root = make_root()
    everything = keys(webdataset_pipeline(whole(root)))
    assert len(everything) == 10
    shares = []
    for rank in (0, 1):
        if by == "environment":
            monkeypatch.setenv("RANK", str(rank))
            monkeypatch.setenv("WORLD_SIZE", "2")
            config = whole(root)
        else:
            config = whole(root, rank=rank, world_size=2)
        shares.append(keys(DataLoader(webdataset_pipeline(config), batch_size=None, num_workers=2)))
    assert [key for turn in zip(*shares, strict=True) for key in turn] == everything


def test_shares_of_workers_differ_by_one_clip_at_most(make_root, monkeypatch):
    root, shares = make_root(), []
    for rank, worker in itertools.product(range(3), range(2)):
        for name, value in (("RANK", rank), ("WORLD_SIZE", 3), ("WORKER", worker), ("NUM_WORKERS", 2)):
            monkeypatch.setenv(name, str(value))
        shares.append(keys(webdataset_pipeline(whole(root))))
    assert sorted(map(len, shares)) == [1, 1, 2, 2, 2, 2]
    assert len({*itertools.chain(*shares)}) == 10


def test_registered_tars_go_through_the_same_index(make_root, label, tmp_path):
    root = make_root(num_clips=(2, 2), num_frames={"s0c0": 3, "s0c1": 4, "s1c0": 5, "s1c1": 6})
    for shard in (0, 1):  # two tars of the same name elsewhere, with the same keys
        tar = tmp_path / f"theirs{shard}" / "clips.tar"
        tar.parent.mkdir()
        shutil.move(Path(root, f"shards/{shard:06d}.tar"), tar)
        entries = [replace(entry, tar=str(tar), sample_key=key) for entry, key in zip(read_index(root, shard), ("a", "b"), strict=True)]
        write_index(root, shard, entries)
    samples = list(webdataset_pipeline(whole(root, labels=label(root, [0, 1]), shuffle=False)))
    assert keys(samples) == ["s0c0", "s0c1", "s1c0", "s1c1"]
    assert [len(sample["labels.tracks_px"]) for sample in samples] == [len(decode(sample["mp4"])) for sample in samples] == [3, 4, 5, 6]
    assert {sample["__url__"] for sample in samples} == {str(tmp_path / f"theirs{shard}" / "clips.tar") for shard in (0, 1)}


def test_labels_of_two_kinds_keep_apart(make_root, label):
    root = make_root(num_clips=(2,))
    tracks, depth = label(root, [0]), LabelSet(labeler="by-hand", configuration={}, kind="depth")
    shown = DepthLabels(depth=np.full((6, 24, 32), 4, np.float32), scale="relative", confidence=np.ones((6, 24, 32), np.float32))
    size = {"num_frames": 6, "width": 32, "height": 24}
    rows = [LabelRow(key=entry.key, status="ok", labels=shown, clip_sha256=entry.record.sha256, **size) for entry in read_index(root, 0)]
    write_label_set(root, depth)
    write_label_shard(root, depth.name, shard=0, rows=rows, kind="depth")
    alone = next(iter(webdataset_pipeline(whole(root, labels=depth.name))))
    both = next(iter(webdataset_pipeline(whole(root, labels=[tracks, depth.name]))))
    assert both["labels.tracks_px"].shape == (6, 3, 2)
    assert both["labels.confidence"].shape == (6, 3)
    for sample, prefix in ((alone, "labels"), (both, "labels.depth")):
        assert (sample[f"{prefix}.depth"] == 4).all()
        assert sample[f"{prefix}.confidence"].shape == (6, 24, 32)
        assert (sample[f"{prefix}.status"], sample[f"{prefix}.scale"]) == ("ok", "relative")


def test_truth_that_is_withheld_is_no_member(make_root, make_truth):
    root = make_root(num_clips=(1,), arrays={"s0c0": make_truth()}, extra={"truth_for": "evaluation"})
    assert ["arrays.npz" in sample for sample in webdataset_pipeline(whole(root))] == [False]
    assert ["arrays.npz" in sample for sample in webdataset_pipeline(whole(root, evaluation_truth=True))] == [True]


def test_a_damaged_video_is_an_error_that_names_the_clip_or_is_skipped(make_root):
    root = make_root(num_clips=(3,))
    entry = read_index(root, 0)[1]
    with Path(root, "shards/000000.tar").open("r+b") as tar:
        tar.seek(entry.video.offset + entry.video.length // 2)
        tar.write(b"damage")
    with pytest.raises(DataError, match=r'shard 000000, clip s0c1: the video\'s sha256 is .*, or stream with on_error="skip"'):
        list(webdataset_pipeline(whole(root)))
    assert keys(webdataset_pipeline(whole(root, shuffle=False, on_error="skip"))) == ["s0c0", "s0c2"]


def test_it_takes_stages_pickles_and_goes_on_without_end(make_root):
    root = make_root(num_clips=(2, 1))
    endless = webdataset_pipeline(whole(root, epochs=None)).compose(wds.map(lambda sample: sample["__key__"])).with_epoch(7)
    clips = ClipStream(whole(root, epochs=None))
    assert list(endless) == [clip.key for clip in itertools.islice(clips, 7)]
    crossed = pickle.loads(pickle.dumps(webdataset_pipeline(whole(root))))
    assert keys(crossed) == keys(webdataset_pipeline(whole(root)))


def test_what_it_cannot_do_is_refused_and_labels_without_audit_are_announced_once(make_root, label, caplog):
    root = make_root(num_clips=(1,))
    for options in ({"num_frames": 24}, {"frame_stride": 2}, {"size": (8, 8)}):
        with pytest.raises(ConfigError, match=f"{next(iter(options))} is .* whole clips as they are stored"):
            webdataset_pipeline(whole(root, **options))
    with pytest.raises(ConfigError, match="no label set 'nobody-00000000'"):
        webdataset_pipeline(whole(root, labels="nobody-00000000"))
    with caplog.at_level(logging.WARNING):
        list(webdataset_pipeline(whole(root, labels=label(root, [0]))))
    assert ["used without an audit" in record.message for record in caplog.records] == [True]
