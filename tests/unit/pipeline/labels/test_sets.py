import dataclasses
import json
import logging
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, DataError, FormatError
from pipeline.labels import list_label_sets, read_label_set, sets_on_other_frames, write_label_set
from pipeline.records import LabelSet


@pytest.fixture
def file(tmp_path, label_set) -> Path:
    write_label_set(str(tmp_path), label_set)
    return tmp_path / "labels" / label_set.name / "label_set.json"


def test_provenance_comes_back_as_it_was_written(tmp_path, file, label_set):
    assert read_label_set(str(tmp_path), label_set.name) == label_set
    assert json.loads(file.read_text())["name"] == label_set.name


def test_tuples_and_lists_are_the_same_configuration(tmp_path, file, label_set):
    again = dataclasses.replace(label_set, configuration={"window": 21, "queries": (4, "grid")})
    before = file.read_bytes()
    write_label_set(str(tmp_path), again)
    assert file.read_bytes() == before


def test_other_package_versions_keep_the_file_and_warn(tmp_path, file, label_set, caplog):
    before = file.read_bytes()
    with caplog.at_level(logging.WARNING):
        write_label_set(str(tmp_path), label_set)
        assert not caplog.records
        write_label_set(str(tmp_path), dataclasses.replace(label_set, versions={"numpy": "2.1"}))
    assert "versions: {'numpy': '2.0'} there, {'numpy': '2.1'} now" in caplog.text
    assert file.read_bytes() == before


def test_a_set_of_the_same_name_made_another_way_is_refused(tmp_path, file, label_set):
    file.write_text(file.read_text().replace('"window": 21', '"window": 15'))
    with pytest.raises(DataError, match=r"label_set.json: its content belongs to label set lucas-kanade-.*not to"):
        write_label_set(str(tmp_path), label_set)


def test_a_new_checkpoint_is_a_new_set_beside_the_old(tmp_path, file, label_set):
    other = dataclasses.replace(label_set, checkpoint_sha256="12" * 32)
    write_label_set(str(tmp_path), other)
    assert list_label_sets(str(tmp_path)) == sorted([label_set.name, other.name])


def test_an_unknown_set_lists_those_that_exist(tmp_path, file, label_set):
    with pytest.raises(ConfigError, match=f"no label set 'cotracker3-1'.*one of: {label_set.name}"):
        read_label_set(str(tmp_path), "cotracker3-1")


def test_a_root_without_label_sets_says_which_job_makes_them(tmp_path):
    assert list_label_sets(str(tmp_path)) == []
    with pytest.raises(ConfigError, match="none yet: run jobs/pseudolabel.py first"):
        read_label_set(str(tmp_path), "x")


def test_sets_that_differ_in_query_frames_alone_are_found(tmp_path, file, label_set):
    def asked(frames: int, count: int = 9, **changed: object) -> LabelSet:
        queries = {"policy": "grid", "num_queries": count, "num_query_frames": frames}
        return dataclasses.replace(label_set, configuration={"window": 21, "queries": queries}, **changed)

    for other in (asked(1), asked(2), asked(1, count=16), asked(1, checkpoint_sha256="12" * 32)):
        write_label_set(str(tmp_path), other)
    assert sets_on_other_frames(str(tmp_path), asked(4)) == {asked(1).name: 1, asked(2).name: 2}
    assert sets_on_other_frames(str(tmp_path), asked(2)) == {asked(1).name: 1}
    broken = tmp_path / "labels" / asked(1).name / "label_set.json"
    broken.write_text("{")
    assert sets_on_other_frames(str(tmp_path), asked(4)) == {asked(2).name: 2}


def test_a_root_with_pattern_characters_is_taken_literally(tmp_path, label_set):
    odd = str(tmp_path / "run[1]*")
    write_label_set(odd, label_set)
    assert list_label_sets(odd) == [label_set.name]


def test_a_newer_or_broken_document_is_refused(tmp_path, file, label_set):
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "schema_version": 2}))
    with pytest.raises(FormatError, match=r"label_set.json: label_set schema version 2.*upgrade"):
        read_label_set(str(tmp_path), label_set.name)
    del document["precision"]
    file.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"label_set.json: not the provenance of a label set .*precision"):
        read_label_set(str(tmp_path), label_set.name)
