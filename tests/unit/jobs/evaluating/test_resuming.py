"""An evaluation that was stopped, or whose labels changed: what is measured again, and what is read as it was left."""

from pathlib import Path

import pytest

from jobs.evaluate import write_evaluation
from jobs.evaluating import stage
from jobs.evaluating.job import EvaluatingConfig, evaluate_labels
from pipeline.errors import StorageError
from pipeline.layout import Layout
from pipeline.shards.tombstones import write_tombstones
from tests.evaluated_dataset import label, write_root


@pytest.fixture(name="root")
def _root(tmp_path) -> str:
    return write_root(tmp_path / "root")


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """Keys of the clips that are measured."""
    keys, measure = [], stage.measure_in_all

    def noted(root, entry, *rest, **options):
        keys.append(entry.key)
        return measure(root, entry, *rest, **options)

    monkeypatch.setattr(stage, "measure_in_all", noted)
    return keys


def evaluate(root: str, name: str, out: Path, **options) -> None:
    write_evaluation(str(out), evaluate_labels(EvaluatingConfig(root=root, label_sets=(name,), out=str(out), **options)))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_evaluation_that_was_stopped_goes_on_and_ends_with_the_same_bytes(root, tmp_path, monkeypatch, measured):
    name = label(root, "off", off_px=1.5)
    evaluate(root, name, tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr(stage, "begin_part", stopping_at("s1c1"))
        with pytest.raises(KeyboardInterrupt):
            evaluate(root, name, tmp_path / "out")
    assert [path.rsplit("/", 1)[-1] for path in files(tmp_path / "out")] == ["000000.json"]
    measured.clear()
    evaluate(root, name, tmp_path / "out")
    assert measured == ["s1c0", "s1c1", "s1c2"]
    assert files(tmp_path / "out") == files(tmp_path / "undisturbed")


def stopping_at(key: str):
    def begin(name: str | None) -> None:
        if name == key:
            raise KeyboardInterrupt

    return begin


def test_what_is_there_is_not_measured_again_unless_its_files_or_settings_changed(root, tmp_path, measured):
    name = label(root, "off", off_px=1.5)
    evaluate(root, name, tmp_path / "out")
    before = files(tmp_path / "out")
    measured.clear()
    evaluate(root, name, tmp_path / "out")
    assert (measured, files(tmp_path / "out")) == ([], before)
    label(root, "off", off_px=1.5, shards=(1,), failed=("s1c0",))  # the name of a set does not depend on what failed
    evaluate(root, name, tmp_path / "out")
    assert measured == ["s1c0", "s1c1", "s1c2"]
    measured.clear()
    evaluate(root, name, tmp_path / "out", query_mode="strided")
    assert len(measured) == 6
    measured.clear()
    write_tombstones(root, ["s0c0"])
    evaluate(root, name, tmp_path / "out")
    assert measured == ["s0c1", "s0c2", "s1c0", "s1c1", "s1c2"]


def test_a_shard_that_cannot_be_read_costs_that_shard(root, tmp_path, measured):
    name = label(root, "off")
    good = Path(Layout(root).label_shard(name, 0)).read_bytes()
    Path(Layout(root).label_shard(name, 0)).write_bytes(good[:-20])
    with pytest.raises(StorageError, match=r"1 of 2 parts of this stage not committed; the first, 000000: .*000000.parquet"):
        evaluate(root, name, tmp_path / "out")
    assert measured == ["s1c0", "s1c1", "s1c2"]
    Path(Layout(root).label_shard(name, 0)).write_bytes(good)
    evaluate(root, name, tmp_path / "out")
    assert measured[3:] == ["s0c0", "s0c1", "s0c2"]


@pytest.mark.unexpected
def test_what_nobody_foresaw_is_an_error_of_its_clip_and_is_tried_again(root, tmp_path, monkeypatch, measured):
    name = label(root, "off")
    with monkeypatch.context() as patch:
        noted = stage.measure_in_all
        patch.setattr(stage, "measure_in_all", lambda root, entry, *rest, **options: failing(noted, root, entry, *rest, **options))
        found = evaluate_labels(EvaluatingConfig(root=root, label_sets=(name,), out=str(tmp_path / "out")))
    assert [(error.key, "unexpected KeyError" in error.message) for error in found.clip_errors] == [("s0c1", True)]
    assert [row.key for row in found.unexpected] == ["s0c1"]
    measured.clear()
    evaluate(root, name, tmp_path / "out")
    assert measured == ["s0c0", "s0c1", "s0c2"]


def failing(measure, root, entry, *rest, **options):
    if entry.key == "s0c1":
        raise KeyError("query_frame")
    return measure(root, entry, *rest, **options)
