import os
import socket

import pytest

from pipeline import storage
from pipeline.storage import each_once, fault_of, walk


def names(found, folder):
    return [path.removeprefix(f"{folder}/") for path in found]


def test_links_that_go_round_and_folders_linked_twice_are_listed_once_under_the_first_name(tmp_path):
    (tmp_path / "z/deep").mkdir(parents=True)
    (tmp_path / "z/deep/a.mp4").write_bytes(b"x")
    (tmp_path / "z/b.mp4").write_bytes(b"x")
    (tmp_path / "z/up").symlink_to(tmp_path)
    (tmp_path / "link1").symlink_to(tmp_path / "z")
    (tmp_path / "link2").symlink_to(tmp_path / "z")
    expected = ["link1/b.mp4", "link1/deep/a.mp4"]
    assert names(walk(str(tmp_path)).files, tmp_path) == expected
    assert names(storage.list_files(str(tmp_path)), tmp_path) == expected
    assert names(storage.glob(f"{tmp_path}/**/*.mp4"), tmp_path) == expected


def test_files_come_in_the_order_of_their_whole_paths(tmp_path):
    for name in ("a/x", "a-b/x", "a.x", "b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(walk(str(tmp_path)).files, tmp_path) == sorted(["a/x", "a-b/x", "a.x", "b"])


def test_a_folder_that_cannot_be_listed_is_said_and_the_others_are_listed(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    (tmp_path / "open.mp4").write_bytes(b"x")
    scan = os.scandir

    def refusing(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = walk(str(tmp_path))
    assert names(found.files, tmp_path) == ["open.mp4"]
    assert found.unreadable == (f"{tmp_path}/shut: cannot be listed (Permission denied); check the rights on it",)


def test_a_file_is_what_can_be_read_without_waiting(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    faults = {name: fault_of(str(tmp_path / name)) for name in ("file", "dangling", "self", "pipe", "socket", "none")}
    assert faults["file"] is None
    assert faults["dangling"] == "is a link to nowhere, which is not there; bring that back, or drop the link"
    assert faults["self"] is not None
    assert "cannot be looked up" in faults["self"]
    assert [str(faults[name]).partition(",")[0] for name in ("pipe", "socket")] == ["is a pipe", "is a socket"]
    assert faults["none"] == "is not there; check the path"


def test_a_link_to_a_file_beside_it_adds_nothing(tmp_path):
    (tmp_path / "b.mp4").write_bytes(b"x")
    (tmp_path / "a.mp4").symlink_to("b.mp4")
    assert names(each_once([str(tmp_path / name) for name in ("b.mp4", "a.mp4")]), tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("folder", ["none", "file"])
def test_no_folder_no_files(tmp_path, folder):
    (tmp_path / "file").write_bytes(b"x")
    assert walk(str(tmp_path / folder)).files == ()
