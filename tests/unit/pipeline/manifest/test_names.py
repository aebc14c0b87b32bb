import pytest

from pipeline.errors import ConfigError
from pipeline.manifest.listing import NamedFile, distinct_names


def make_file(root, name):
    return NamedFile(uri=f"{root}/{name}", root=root)


def test_names_that_do_not_clash_stay_as_they_are():
    files = [make_file("/a", "x.mp4"), make_file("/b", "y.mp4")]
    assert distinct_names(files) == {"/a/x.mp4": "x.mp4", "/b/y.mp4": "y.mp4"}


def test_names_that_clash_get_their_folders_names_whatever_the_order():
    files = [make_file("/d/a", "x.mp4"), make_file("/d/b", "x.mp4"), make_file("/d/b", "y.mp4")]
    expected = {"/d/a/x.mp4": "a/x.mp4", "/d/b/x.mp4": "b/x.mp4", "/d/b/y.mp4": "y.mp4"}
    assert distinct_names(files) == distinct_names(files[::-1]) == expected


def test_folders_of_one_name_get_those_above_too():
    files = [make_file("/p/v", "x.mp4"), make_file("s3://q/v", "x.mp4")]
    assert distinct_names(files) == {"/p/v/x.mp4": "p/v/x.mp4", "s3://q/v/x.mp4": "q/v/x.mp4"}


def test_a_lengthened_name_does_not_take_anothers():
    files = [make_file("/d/a", "x.mp4"), make_file("/d/b", "x.mp4"), make_file("/e", "a/x.mp4")]
    names = distinct_names(files)
    assert names == {"/d/a/x.mp4": "d/a/x.mp4", "/d/b/x.mp4": "b/x.mp4", "/e/a/x.mp4": "e/a/x.mp4"}


def test_one_and_the_same_path_in_two_stores_is_refused():
    with pytest.raises(ConfigError, match="a path that another source has"):
        distinct_names([make_file("/q/v", "x.mp4"), make_file("s3://q/v", "x.mp4")])


def test_names_that_were_given_before_stay_and_are_nobody_elses():
    known = {"/d/a/x.mp4": "x.mp4", "/gone/y.mp4": "y.mp4"}
    files = [make_file("/d/a", "x.mp4"), make_file("/d/b", "x.mp4"), make_file("/d/b", "y.mp4"), make_file("/d/b", "z.mp4")]
    assert distinct_names(files, known) == {
        "/d/a/x.mp4": "x.mp4", "/d/b/x.mp4": "b/x.mp4", "/d/b/y.mp4": "b/y.mp4", "/d/b/z.mp4": "z.mp4",
    }  # fmt: skip
