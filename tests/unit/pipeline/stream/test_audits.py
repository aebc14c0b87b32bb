"""The stream under an audit: which clips come, and what is said where used without an audit the labels."""

import logging
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from pipeline.audit.stored import audit_rows
from pipeline.errors import ConfigError, DataError, FormatError
from pipeline.layout import Layout
from pipeline.shards.index import read_index, write_index
from pipeline.stream import ClipStream, MixtureConfig, MixtureStream, StreamConfig, catalog
from pipeline.stream.torch_adapter import ResumableLoader, TorchClipDataset
from pipeline.tables import SCHEMA_VERSIONS
from tests.audited_clips import write_audit_shard

REASONS = {"s0c0": ["few_tracks"], "s0c1": ["flicker"], "s1c0": ["unreadable"], "s2c3": ["exposure_jump"]}  # drop, quarantine, error, keep
KEPT = ["s0c2", "s1c1", "s2c0", "s2c1", "s2c2", "s2c3"]


def keys(root, **options):
    return sorted(sample.key for sample in ClipStream(StreamConfig(root=root, num_frames=2, epochs=1, **options)))


@pytest.fixture(name="judged")
def _judged(make_root, label, audit):
    """(root, label set): of ten clips six are kept, one each is dropped, quarantined and an error, and shard 3 is not audited."""
    root = make_root()
    labels = label(root, range(4))
    audit(root, labels, range(3), reasons=REASONS)
    return root, labels


def test_only_what_the_audit_keeps_is_delivered(judged):
    root, labels = judged
    assert keys(root, labels=labels, audit=labels) == KEPT
    assert keys(root, labels=labels, audit=labels, audit_keeps=("quarantine", "keep")) == ["s0c1", *KEPT]
    assert keys(root, labels=labels, audit=labels, audit_keeps=("quarantine",)) == ["s0c1"]


def test_the_audit_names_the_labels_where_they_are_left_out(judged):
    root, labels = judged
    stream = ClipStream(StreamConfig(root=root, audit=labels))
    assert stream.config.labels == labels
    assert keys(root, audit=labels) == KEPT
    ClipStream(StreamConfig(root=root, audit=labels, labels=labels)).load_state_dict(stream.state_dict())


def test_an_audit_of_other_labels_is_refused_by_both_names(judged, audit):
    root, labels = judged
    name = audit(root, "other-12345678", [0], name="strict")
    with pytest.raises(ConfigError, match=f"audit 'strict' judged the label set 'other-12345678', not '{labels}'; ask for labels='other"):
        ClipStream(StreamConfig(root=root, labels=labels, audit=name))


def test_an_unknown_audit_is_heard_of_at_once(judged):
    root, labels = judged
    with pytest.raises(ConfigError, match=f"no audit 'nobody' under .*; there is one of: {labels}"):
        ClipStream(StreamConfig(root=root, labels=labels, audit="nobody"))


def test_a_shard_that_is_not_audited_is_told_of_once_with_the_command(judged, caplog):
    root, labels = judged
    list(ClipStream(StreamConfig(root=root, audit=labels, epochs=2, num_frames=2)))
    told = [record.message for record in caplog.records]
    command = f"run jobs/audit.py run --root {root} --labels {labels} to audit it"
    assert [f"audit/{labels}/000003.parquet: this shard is not audited" in message and command in message for message in told] == [True]


def test_the_command_names_an_audit_that_is_not_called_like_its_labels(judged, audit, caplog):
    root, labels = judged
    keys(root, audit=audit(root, labels, [0], name="strict"))
    assert all(f"--labels {labels} --name strict to audit it" in record.message for record in caplog.records)
    assert len(caplog.records) == 3


def test_nothing_left_counts_the_verdicts(judged):
    root, labels = judged
    for shard in (1, 2):
        Path(Layout(root).audit_shard(labels, shard)).unlink()
    write_index(root, 0, [replace(entry, record=None) if entry.key == "s0c2" else entry for entry in read_index(root, 0)])
    with pytest.raises(DataError, match=r"1 audit drop, 1 audit quarantine, 1 failed, 7 not audited\); finish .*jobs/audit.py run"):
        keys(root, audit=labels)


def test_leaving_clips_out_moves_no_other_clip_from_its_index(judged):
    root, labels = judged
    before = {sample.index: sample.key for sample in ClipStream(StreamConfig(root=root, labels=labels, num_frames=2, epochs=2))}
    after = {sample.index: sample.key for sample in ClipStream(StreamConfig(root=root, audit=labels, num_frames=2, epochs=2))}
    assert len(after) == 2 * len(KEPT)
    assert after.items() <= before.items()


def test_an_audit_of_another_video_is_refused(make_root, label, audit):
    root = make_root(num_clips=(2,))
    labels = label(root, [0])
    audit(root, labels, [0], sha256="0" * 64)
    with pytest.raises(DataError, match=r"s0c\d was audited on another video .*delete 000000.parquet and run jobs/audit.py run again"):
        keys(root, audit=labels)


def test_a_clip_that_the_audit_does_not_know_is_refused(make_root, label, audit):
    root = make_root(num_clips=(2,))
    labels = label(root, [0])
    audit(root, labels, [])
    write_audit_shard(root, labels, 0, [])
    with pytest.raises(DataError, match=r"no row for clip s0c\d: the shard changed after it was audited"):
        keys(root, audit=labels)


def test_an_audit_of_a_newer_schema_is_refused(make_root, label, audit, monkeypatch):
    root = make_root(num_clips=(1,))
    labels = label(root, [0])
    audit(root, labels, [0])
    monkeypatch.setitem(SCHEMA_VERSIONS, "audit", SCHEMA_VERSIONS["audit"] + 1)
    audit(root, labels, [0], name="newer")
    monkeypatch.undo()
    with pytest.raises(FormatError, match="audit schema version"):
        keys(root, audit="newer")


def test_opening_a_shard_reads_its_audit_once_and_a_sample_one_row(judged, monkeypatch):
    root, labels = judged
    opened, rows = [], []
    read, row = catalog.read_audit_shard, audit_rows.AuditShard._row

    def spy(root, audit, shard):
        opened.append(shard)
        return read(root, audit, shard)

    monkeypatch.setattr(catalog, "read_audit_shard", spy)
    monkeypatch.setattr(audit_rows.AuditShard, "_row", lambda self, key, columns: rows.append(key) or row(self, key, columns))
    assert keys(root, audit=labels) == sorted(rows) == KEPT
    assert sorted(opened) == [0, 1, 2]


def warnings(caplog):
    return [record.message for record in caplog.records if "used without an audit" in record.message]


def test_labels_without_an_audit_are_used_with_one_warning(make_root, label, caplog):
    root = make_root(num_clips=(2,))
    labels = label(root, [0])
    for make in (ClipStream, ResumableLoader):
        assert len(list(make(StreamConfig(root=root, labels=labels, epochs=1)))) == 2
        (message,) = warnings(caplog)
        assert message.startswith(f"{root}: the labels {labels} are used without an audit")
        assert f"; run jobs/audit.py run --root {root} --labels {labels} and set audit='{labels}' to leave out bad clips" in message
        caplog.clear()


def test_an_audit_that_is_there_is_pointed_at(judged, caplog):
    root, labels = judged
    ClipStream(StreamConfig(root=root, labels=labels))
    (message,) = warnings(caplog)
    assert f"right ones; set audit='{labels}' to leave out bad clips" in message


@pytest.mark.parametrize("options", [{}, {"audit": True}])
def test_nothing_is_said_without_labels_or_with_an_audit(judged, options, caplog):
    root, labels = judged
    ClipStream(StreamConfig(root=root, **dict.fromkeys(options, labels)))
    assert warnings(caplog) == []


def test_a_mixture_tells_of_each_part_once_and_workers_tell_nothing(judged, make_root, caplog, capfd):
    root, labels = judged
    plain = make_root("plain", num_clips=(1,))
    parts = [
        (StreamConfig(root=plain), 1),
        (StreamConfig(root=root, labels=labels, name="a"), 1),
        (StreamConfig(root=root, audit=labels), 1),
    ]
    config = MixtureConfig(parts=parts)
    for make in (MixtureStream, ResumableLoader, TorchClipDataset):
        stream = make(config)
        assert len(list(islice(stream, 4))) == 4
        assert [f"{root}: the labels {labels} are" in message for message in warnings(caplog)] == [True]
        caplog.clear()
    list(islice(ResumableLoader(config, num_workers=1), 2))
    assert len(warnings(caplog)) == 1
    assert "used without an audit" not in capfd.readouterr().err


def test_a_mixture_obeys_the_audits_of_its_parts(judged, make_root):
    root, labels = judged
    mixture = MixtureConfig(parts=[(StreamConfig(root=make_root("plain")), 1), (StreamConfig(root=root, audit=labels, num_frames=2), 1)])
    found = Counter((sample.dataset, sample.key in KEPT, sample.frame_weights is None) for sample in islice(MixtureStream(mixture), 60))
    assert {kind for kind in found if kind[0] == "root"} == {("root", True, False)}


WILD = {"num_clips": (2, 2), "is_metric": True, "extra": {"truth_for": "evaluation"}}


@pytest.fixture(name="wild")
def _wild(make_root, make_truth):
    return make_root(**WILD, arrays={f"s{shard}c{clip}": make_truth() for shard in range(2) for clip in range(2)})


def kinds(root, **options):
    return {
        (sample.supervision, sample.is_metric, sample.depth is None) for sample in ClipStream(StreamConfig(root=root, epochs=1, **options))
    }


def test_truth_for_evaluation_stays_on_disk_and_is_told_of_once(wild, caplog):
    assert kinds(wild) == {("pseudo", False, True)}
    assert [f"{wild}: the truth of its clips is for evaluation (clip s" in record.message for record in caplog.records] == [True]


def test_truth_for_evaluation_is_delivered_to_who_asks_for_it(wild, caplog):
    assert kinds(wild, evaluation_truth=True) == {("metric", True, False)}
    assert caplog.records == []


def test_who_leaves_the_arrays_on_disk_is_told_nothing(wild, caplog):
    with caplog.at_level(logging.WARNING):
        assert kinds(wild, arrays=False) == {("pseudo", False, True)}
    assert caplog.records == []


def test_truth_for_training_is_delivered(make_root, make_truth):
    root = make_root(**{**WILD, "extra": {"truth_for": "training"}}, arrays={"s0c0": make_truth()})
    assert ("metric", True, False) in kinds(root)
