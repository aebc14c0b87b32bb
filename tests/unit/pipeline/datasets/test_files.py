"""Finding and reading the files of a dataset."""

import re

import pytest

from pipeline.datasets.files import FileTree, check_sequences, clip_frames, list_frames, read_file
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError, DataError
from pipeline.storage import publish_bytes

FRAME = re.compile(r"/(cam\d)/(\d+)\.png$")


@pytest.fixture
def root(tmp_path):
    for name in ("a/cam0/10.png", "a/cam0/9.png", "a/cam0/note.txt", "b/cam1/0.png", "b/depth/0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_folders_of_frames_are_found_at_any_depth(root) -> None:
    tree = FileTree(str(root))
    found = [(folder.relative, folder.parts, folder.num_frames) for folder in tree.frame_folders(FRAME)]
    assert found == [("a/cam0", ("cam0",), 2), ("b/cam1", ("cam1",), 1)]
    assert f"{root}/b/depth" in tree.folders
    assert f"{root}/b" not in tree.folders


def test_frames_go_by_number_not_by_name(root) -> None:
    assert [frame.number for frame in list_frames(f"{root}/a/cam0", FRAME)] == [9, 10]


def test_a_clip_lies_within_its_sequence() -> None:
    sequence = SequenceInfo(name="s", num_frames=4)
    assert clip_frames("abcd", sequence, first_frame=1, num_frames=3) == "bcd"
    for first, count in ((2, 3), (-1, 2), (0, 0)):
        with pytest.raises(DataError, match="it has 0 to 3"):
            clip_frames("abcd", sequence, first_frame=first, num_frames=count)
    with pytest.raises(DataError, match="s: 3 frames found, 4 when the dataset was listed"):
        clip_frames("abc", sequence, first_frame=0, num_frames=1)


def test_two_sequences_of_one_name_are_refused() -> None:
    twice = [SequenceInfo(name="s", num_frames=4, extra={"folder": folder}) for folder in ("x/s", "y/s")]
    with pytest.raises(ConfigError, match=r"s is there twice .*x/s.*y/s"):
        check_sequences("any", "/root", sequences=twice, layout="s/0.png")


def test_a_missing_file_is_bad_data_with_a_remedy(root) -> None:
    assert read_file(f"{root}/b/cam1/0.png") == b"b/cam1/0.png"
    with pytest.raises(DataError, match=r"c\.png: there is no such file, but .* download it again"):
        read_file(f"{root}/c.png")


def test_an_object_store_is_listed_like_a_disk(root, bucket) -> None:
    for path in root.rglob("*.*"):
        publish_bytes(f"{bucket}/set/{path.relative_to(root)}", path.read_bytes())
    tree = FileTree(f"{bucket}/set")
    local = FileTree(str(root))
    assert [folder.relative for folder in tree.frame_folders(FRAME)] == [folder.relative for folder in local.frame_folders(FRAME)]
    assert [frame.uri for frame in list_frames(f"{bucket}/set/a/cam0", FRAME)] == [f"{bucket}/set/a/cam0/{n}.png" for n in (9, 10)]
    assert read_file(f"{bucket}/set/b/cam1/0.png") == b"b/cam1/0.png"
    with pytest.raises(DataError, match="there is no such file"):
        read_file(f"{bucket}/set/b/cam1/1.png")
