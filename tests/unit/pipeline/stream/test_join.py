import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import webdataset as wds

from pipeline.errors import ConfigError, DataError
from pipeline.shards.index import read_index, write_index
from pipeline.shards.tombstones import write_tombstones
from pipeline.stream import join, join_labels


def samples(tars, joiner):
    return list(wds.WebDataset([str(tar) for tar in tars], shardshuffle=False, empty_check=False).map(joiner))


def tars_of(root):
    return sorted(Path(root, "shards").glob("*.tar"))


def test_plain_samples_get_the_tracks_of_their_clip(make_root, label):
    root = make_root()
    found = samples(tars_of(root), join_labels(root, label(root, range(4))))
    assert len(found) == 10
    for sample in found:
        assert sample["labels.status"] == "ok"
        assert sample["labels.tracks_px"][:, 1].tolist() == [[1 + t, 2] for t in range(6)]
        assert sample["labels.queries"].shape == (3, 3)
        np.testing.assert_allclose(sample["labels.confidence"], 0.6)
        assert sample["labels.cycle_error_px"] is None
        assert sample["mp4"][4:8] == b"ftyp"


def test_samples_without_ok_labels_say_why(make_root, label):
    root = make_root(num_clips=(3, 1))
    name = label(root, [0], bad={"s0c1": "screened"})
    found = {sample["__key__"]: sample for sample in samples(tars_of(root), join_labels(root, name))}
    assert {key: sample["labels.status"] for key, sample in found.items()} == {
        "s0c0": "ok", "s0c1": "screened", "s0c2": "ok", "s1c0": "missing",
    }  # fmt: skip
    assert found["s0c1"]["labels.tracks_px"] is found["s1c0"]["labels.tracks_px"] is None


def test_a_tombstoned_clip_is_dropped(make_root, label):
    root = make_root(num_clips=(2, 1))
    name = label(root, [0, 1])
    write_tombstones(root, ["s0c1"], ["source-of-s1c0"])
    assert [sample["__key__"] for sample in samples(tars_of(root), join_labels(root, name))] == ["s0c0"]


def test_tars_may_be_read_from_a_copy_or_through_a_pipe(make_root, label, tmp_path):
    root = make_root(num_clips=(2,))
    joiner = join_labels(root, label(root, [0]))
    copy = shutil.copy(tars_of(root)[0], tmp_path / "000000.tar")
    assert [sample["labels.status"] for tar in (copy, f"file:{copy}", f"pipe:cat {copy}") for sample in samples([tar], joiner)] == [
        "ok"
    ] * 6


def register(root, tmp_path, folders):
    """Move shard s to folders[s]/clips.tar, with sample keys `a`, `b`, ... as another tool might have written them."""
    for shard, folder in enumerate(folders):
        (tmp_path / folder).mkdir()
        tar = tmp_path / folder / "clips.tar"
        entries = read_index(root, shard)
        with wds.TarWriter(str(tar)) as writer:
            for number, _ in enumerate(entries):
                writer.write({"__key__": "ab"[number], "mp4": b"video"})
        write_index(root, shard, [replace(entry, tar=str(tar), sample_key="ab"[number]) for number, entry in enumerate(entries)])
        tars_of(root)[0].unlink()
    return [tmp_path / folder / "clips.tar" for folder in folders]


def test_registered_tars_are_told_apart_by_their_path(make_root, label, tmp_path):
    root = make_root(num_clips=(2, 2), num_frames={"s0c0": 3, "s0c1": 4, "s1c0": 5, "s1c1": 6})
    tars = register(root, tmp_path, ["one", "two"])
    found = samples(tars, join_labels(root, label(root, [0, 1])))
    assert [sample["__key__"] for sample in found] == ["a", "b", "a", "b"]
    assert [len(sample["labels.tracks_px"]) for sample in found] == [3, 4, 5, 6]


def test_a_copy_of_one_of_two_tars_of_the_same_name_is_refused_for_it_may_be_either(make_root, label, tmp_path):
    root = make_root(num_clips=(2, 2))
    tars = register(root, tmp_path, ["one", "two"])
    (tmp_path / "three").mkdir()
    copy = shutil.copy(tars[0], tmp_path / "three" / "clips.tar")
    with pytest.raises(DataError, match="sample a: 2 clips of this name in tars of this name"):
        samples([copy], join_labels(root, label(root, [0, 1])))


def test_a_sample_of_another_dataset_is_refused(make_root, label, tmp_path):
    root = make_root(num_clips=(1,))
    with wds.TarWriter(str(tmp_path / "stranger.tar")) as writer:
        writer.write({"__key__": "x", "mp4": b"video"})
    with pytest.raises(DataError, match=r"stranger.tar: sample x: no such clip in "):
        samples([tmp_path / "stranger.tar"], join_labels(root, label(root, [0])))


def test_stale_labels_and_unknown_label_sets_are_refused(make_root, label):
    root = make_root(num_clips=(1,))
    with pytest.raises(DataError, match="labelled on another video"):
        samples(tars_of(root), join_labels(root, label(root, [0], sha256="0" * 64)))
    with pytest.raises(ConfigError, match="no label set 'nobody-00000000'"):
        join_labels(root, "nobody-00000000")


def test_the_callable_crosses_into_another_process(make_root, label):
    root = make_root(num_clips=(1,))
    joiner = join_labels(root, label(root, [0]))
    assert len(samples(tars_of(root), joiner)) == 1
    assert samples(tars_of(root), pickle.loads(pickle.dumps(joiner)))[0]["labels.status"] == "ok"


def test_metadata_are_read_once_per_shard_when_tars_come_in_order(make_root, label, monkeypatch):
    root, read = make_root(num_clips=(4, 4)), []

    def spy(root, shard):
        read.append(shard)
        return read_index(root, shard)

    joiner = join_labels(root, label(root, [0, 1]))
    monkeypatch.setattr(join, "read_index", spy)
    samples(tars_of(root), joiner)
    assert read == [0, 1]


def test_an_audit_adds_its_verdict_and_weights(make_root, label, audit):
    root = make_root(num_clips=(4, 1))
    name = label(root, [0, 1], bad={"s0c3": "screened"})
    audit(root, name, [0], reasons={"s0c1": ["flicker"], "s0c2": ["unreadable"], "s0c3": ["few_tracks"]})
    found = {sample["__key__"]: sample for sample in samples(tars_of(root), join_labels(root, name, name))}
    verdicts = {"s0c0": "keep", "s0c1": "quarantine", "s0c2": "error", "s0c3": "drop", "s1c0": "missing"}
    assert {key: sample["labels.verdict"] for key, sample in found.items()} == verdicts
    for key in ("s0c0", "s0c1"):
        assert found[key]["labels.weight"].tolist() == [0.5, 1, 0]
        assert found[key]["labels.frame_weights"].shape == found[key]["labels.visibility"].shape
        np.testing.assert_allclose(found[key]["labels.frame_weights"][3], [0.3, 0.6, 0], atol=0.01)
        assert found[key]["labels.static_score"].shape == (3,)
        assert found[key]["labels.pose_signal"].tolist() == [True, True, True, False, False, False]
    for key in ("s0c2", "s0c3", "s1c0"):
        assert found[key]["labels.weight"] is found[key]["labels.frame_weights"] is found[key]["labels.pose_signal"] is None


def test_without_an_audit_a_warning_says_so_and_samples_carry_no_verdict(make_root, label, caplog):
    root = make_root(num_clips=(1,))
    joiner = join_labels(root, label(root, [0]))
    assert ["used without an audit" in record.message for record in caplog.records] == [True]
    assert "labels.verdict" not in samples(tars_of(root), joiner)[0]


def test_an_audit_of_other_labels_another_video_or_other_tracks_is_refused(make_root, label, audit):
    root = make_root(num_clips=(1,))
    name = label(root, [0])
    audit(root, "other-12345678", [0], name="other")
    with pytest.raises(ConfigError, match="audit 'other' judged the label set 'other-12345678', not"):
        join_labels(root, name, "other")
    audit(root, name, [0], name="video", sha256="0" * 64)
    with pytest.raises(DataError, match="audited on another video"):
        samples(tars_of(root), join_labels(root, name, "video"))
    audit(root, name, [0], name="tracks", queries=np.zeros((3, 3), np.float32))
    with pytest.raises(DataError, match="are not those that were audited"):
        samples(tars_of(root), join_labels(root, name, "tracks"))
    crossed = pickle.loads(pickle.dumps(join_labels(root, name, audit(root, name, [0]))))
    assert samples(tars_of(root), crossed)[0]["labels.verdict"] == "keep"
