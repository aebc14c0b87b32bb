"""Where sources lie: references that survive a move, and the roots that they count from."""

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.shards.source_roots import SourceRoots, read_source_roots, write_source_roots


def test_a_reference_is_below_the_deepest_root_and_leads_back():
    roots = SourceRoots(roots={"0": "/data", "1": "/data/walks", "2": "s3://lab/videos", "3": "/"})
    for uri, reference in (
        ("/data/a.mp4", "root://0/a.mp4"),
        ("/data/walks/day 1/é.mp4", "root://1/day 1/é.mp4"),
        ("/data/walks2/a.mp4", "root://0/walks2/a.mp4"),
        ("s3://lab/videos/a.mp4", "root://2/a.mp4"),
        ("/elsewhere/a.mp4", "root://3/elsewhere/a.mp4"),
    ):
        assert roots.reference(uri) == reference
        assert roots.resolve(reference) == uri
    assert roots.reference("s3://other/a.mp4") is None
    assert roots.resolve("/as/before.mp4") == "/as/before.mp4"


def test_new_files_get_the_deepest_folder_that_they_share_for_each_store():
    roots = SourceRoots(roots={"0": "/data/walks"})
    grown = roots.with_room_for(
        ["/data/walks/a.mp4", "/data/more/x/a.mp4", "/data/more/y/b.mp4", "/home/c.mp4", "s3://b/v/1/a.mp4", "s3://b/v/2/a.mp4"]
    )
    assert grown.roots == {"0": "/data/walks", "1": "/data/more", "2": "/home", "3": "s3://b/v"}
    assert grown.with_room_for(["/data/more/z/a.mp4"]) == grown


def test_a_move_changes_one_line(tmp_path):
    roots = SourceRoots(roots={"0": "/data/walks"})
    write_source_roots(str(tmp_path), roots.moved({"0": "/mnt/new/"}))
    assert read_source_roots(str(tmp_path)).resolve("root://0/a.mp4") == "/mnt/new/a.mp4"
    with pytest.raises(ConfigError, match="there is no such root; known are 0=/data/walks"):
        roots.moved({"7": "/x"})
    with pytest.raises(DataError, match="--source-root 9=FOLDER"):
        roots.resolve("root://9/a.mp4")
