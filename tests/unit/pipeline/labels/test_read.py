import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, DataError, FormatError, StorageError
from pipeline.labels import LabelRow, labelled_shards, read_label_shard, read_labels, write_label_set, write_label_shard


@pytest.fixture
def root(tmp_path, label_set, make_labels, make_row):
    """Shards 0 and 2 of a set: a, b (failed), c; then d."""
    write_label_set(str(tmp_path), label_set)
    first = [make_row("a", make_labels(seed=1)), LabelRow(key="b", status="failed", error="cut short"), make_row("c", make_labels(seed=2))]
    write_label_shard(str(tmp_path), label_set.name, shard=2, rows=[make_row("d", make_labels(seed=3, num_frames=1))])
    write_label_shard(str(tmp_path), label_set.name, shard=0, rows=first)
    return str(tmp_path)


def file_of(root, label_set, shard=0):
    return f"{root}/labels/{label_set.name}/{shard:06d}.parquet"


def test_read_labels_gives_the_labelled_clips_of_all_shards_in_order(root, label_set, make_labels):
    found = list(read_labels(root, label_set.name))
    assert [key for key, _ in found] == ["a", "c", "d"]
    for (_, labels), seed in zip(found, (1, 2), strict=False):
        np.testing.assert_allclose(labels.tracks_px, make_labels(seed=seed).tracks_px, rtol=0, atol=1 / 64)
    assert labelled_shards(root, label_set.name) == [0, 2]


def test_a_path_object_is_a_root_too(tmp_path, root, label_set):
    assert len(list(read_labels(tmp_path, label_set.name))) == 3


def test_an_unknown_set_is_refused_at_once_naming_those_that_exist(root, label_set):
    with pytest.raises(ConfigError, match=f"no label set 'dis-flow-0'.*one of: {label_set.name}"):
        read_labels(root, "dis-flow-0")


def test_a_shard_tells_status_and_sizes_without_decoding_tracks(root, label_set, monkeypatch):
    asked = []
    read = pq.ParquetFile.read
    monkeypatch.setattr(pq.ParquetFile, "read", lambda self, **options: (asked.append(options["columns"]), read(self, **options))[1])
    shard = read_label_shard(root, label_set.name, 0)
    assert {key: entry.status for key, entry in shard.entries.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    assert shard.entry("b").error == "cut short"
    assert (shard.entry("c").num_frames, shard.entry("c").row) == (6, 2)
    assert not {"tracks_x", "tracks_y", "visibility", "confidence"} & set(asked[0])


def test_one_clip_is_read_without_touching_the_others(root, label_set, make_labels):
    path = file_of(root, label_set)
    metadata = pq.read_metadata(path)
    column = next(
        metadata.row_group(0).column(i) for i in range(metadata.num_columns) if "tracks_x" in metadata.row_group(0).column(i).path_in_schema
    )
    with open(path, "r+b") as handle:  # spoil clip a
        handle.seek(column.data_page_offset)
        handle.write(b"\xff" * column.total_compressed_size)
    shard = read_label_shard(root, label_set.name, 0)
    np.testing.assert_allclose(shard.labels("c").tracks_px, make_labels(seed=2).tracks_px, rtol=0, atol=1 / 64)
    with pytest.raises(DataError, match=r"000000.parquet: cannot be read .*delete 000000.parquet and run jobs/pseudolabel.py again"):
        shard.labels("a")


def test_a_shard_survives_pickling(root, label_set):
    shard = pickle.loads(pickle.dumps(read_label_shard(root, label_set.name, 0)))
    assert shard.labels("a").tracks_px.shape == (6, 5, 2)


def test_labels_of_a_clip_that_was_not_labelled_say_why_there_are_none(root, label_set):
    shard = read_label_shard(root, label_set.name, 0)
    with pytest.raises(DataError, match=r"clip b has no labels, it is failed \(cut short\)"):
        shard.labels("b")
    with pytest.raises(DataError, match="no row for clip z; the shard changed after it was labelled"):
        shard.labels("z")


def test_labels_of_another_video_are_refused_with_the_remedy(root, label_set):
    shard = read_label_shard(root, label_set.name, 0)
    shard.check_clip("a", "ab" * 32)
    with pytest.raises(
        DataError, match=r"000000.parquet: clip a was labelled on another video .*abababababab.*cdcdcdcdcdcd.*delete 000000.parquet"
    ):
        shard.check_clip("a", "cd" * 32)


def test_a_file_replaced_meanwhile_is_noticed(root, label_set, make_row):
    shard = read_label_shard(root, label_set.name, 0)
    write_label_shard(root, label_set.name, shard=0, rows=[make_row("x"), make_row("a")])
    with pytest.raises(DataError, match="row 0 no longer holds clip a"):
        shard.labels("a")
    with pytest.raises(DataError, match="2 rows, clip c was in row 2"):
        shard.labels("c")


@pytest.mark.parametrize(("version", "remedy"), [(2, "upgrade it"), (0, "run the job that wrote it again")])
def test_another_schema_version_is_refused(root, label_set, version, remedy):
    path = file_of(root, label_set)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"schema_version": str(version).encode()}), path)
    with pytest.raises(FormatError, match=f"000000.parquet: labels schema version {version}.*{remedy}"):
        read_label_shard(root, label_set.name, 0)
    with pytest.raises(FormatError):
        list(read_labels(root, label_set.name))


def test_columns_that_do_not_fit_together_name_file_and_clip(root, label_set):
    path = file_of(root, label_set)
    table = pq.read_table(path)
    wrong = table.set_column(table.schema.get_field_index("num_frames"), "num_frames", [[7, None, 7]])
    pq.write_table(wrong.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(DataError, match="000000.parquet: clip a: .*label this shard again"):
        next(read_labels(root, label_set.name))


def test_a_declared_scale_is_obeyed(root, label_set, make_labels):
    path = file_of(root, label_set)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"position_scale": b"16"}), path)
    np.testing.assert_allclose(
        read_label_shard(root, label_set.name, 0).labels("a").tracks_px, 2 * make_labels(seed=1).tracks_px, rtol=0, atol=1 / 32
    )


def test_a_shard_that_is_not_labelled_is_a_storage_error(root, label_set):
    with pytest.raises(StorageError, match="000001.parquet"):
        read_label_shard(root, label_set.name, 1)
