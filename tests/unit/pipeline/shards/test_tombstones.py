from pipeline.shards.index import ClipEntry
from pipeline.shards.tombstones import Tombstones, read_tombstones, write_tombstones


def make_entry(key, source_id):
    return ClipEntry(key=key, sample_key=key, tar="000000.tar", source="s", source_id=source_id, split="train")


def test_a_dataset_without_the_file_forgets_nothing(tmp_path):
    assert read_tombstones(str(tmp_path)) == Tombstones()


def test_a_clip_is_covered_by_its_key_or_by_its_source(tmp_path):
    write_tombstones(str(tmp_path), ["a"], ["video-2"])
    tombstones = read_tombstones(str(tmp_path))
    assert tombstones.cover(make_entry("a", "video-1"))
    assert tombstones.cover(make_entry("b", "video-2"))
    assert not tombstones.cover(make_entry("b", "video-1"))
    assert not tombstones.cover(make_entry("video-2", "a"))


def test_what_was_to_be_forgotten_stays_so(tmp_path):
    write_tombstones(str(tmp_path), ["a"])
    write_tombstones(str(tmp_path), ["b"], ["video-2"])
    assert read_tombstones(str(tmp_path)) == Tombstones(keys=frozenset("ab"), source_ids=frozenset(["video-2"]))
