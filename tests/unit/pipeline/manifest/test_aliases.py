import pytest

from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions
from pipeline.manifest.columns import map_columns


def mapped(*found, **options):
    return map_columns("m.csv", found, options=ManifestOptions(**options))


@pytest.mark.parametrize("name", ["file", "filename", "filepath", "video", "video_path", "uri", "File Name", "url", "Path"])
def test_a_path_has_many_names(name):
    assert mapped(name, "caption") == {"path": name}


@pytest.mark.parametrize(
    ("start", "end"),
    [("start", "end"), ("start_time", "end_time"), ("startSec", "end_sec"), ("begin", "stop"), ("from", "to"), ("Start (s)", "End [s]")],
)
def test_bounds_have_many_names(start, end):
    assert mapped("path", start, end) == {"path": "path", "start": start, "end": end}


def test_frames_too():
    assert mapped("file", "frame_start", "frame_end") == {"path": "file", "start_frame": "frame_start", "end_frame": "frame_end"}


def test_a_duration_counts_where_there_is_a_start_and_no_end():
    assert mapped("path", "start", "duration") == {"path": "path", "start": "start", "duration": "duration"}
    assert mapped("path", "start", "end", "duration") == {"path": "path", "start": "start", "end": "end"}
    assert mapped("path", "duration") == {"path": "path"}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (("path", "start", "start_s"), "start and start_s may both be the start; say which one with --col-start"),
        (("path", "end", "stop"), "end and stop may both be the end; say which one with --col-end"),
        (("file", "video"), "file and video may both be the path; say which one with --col-path"),
    ],
)
def test_two_that_may_be_meant_are_refused(found, said):
    with pytest.raises(ConfigError, match=said):
        mapped(*found)


def test_a_flag_settles_it():
    assert mapped("path", "start", "start_s", col_start="start") == {"path": "path", "start": "start"}
    assert mapped("file", "video", col_path="video") == {"path": "video"}


def test_our_own_name_of_the_path_is_not_in_doubt():
    assert mapped("path", "filename") == {"path": "path"}


@pytest.mark.parametrize(("column", "said"), [("start_ms", "write a column of seconds"), ("last_frame", "one past the last frame")])
def test_bounds_that_would_be_misread_are_refused(column, said):
    with pytest.raises(ConfigError, match=said):
        mapped("path", column)


def test_bounds_are_understood_beside_flags_of_other_roles_but_not_beside_other_bounds():
    assert mapped("clip", "start", "end", col_path="clip") == {"path": "clip", "start": "start", "end": "end"}
    assert mapped("path", "start", "end", "s", col_clips="s") == {"path": "path", "clips": "s"}
    assert mapped("path", "start", "end", "f", col_start_frame="f") == {"path": "path", "start_frame": "f"}


def test_named_presets_know_their_own_columns_alone():
    assert mapped("video", "start", "end", preset="openvid") == {"path": "video"}


def test_a_presets_table_is_not_guessed_at():
    with pytest.raises(ConfigError, match="choose --preset panda70m or koala36m"):
        mapped("videoID", "url", "timestamp")


def test_spans_that_are_not_used_are_said(caplog):
    mapped("path", "segments")
    assert "to cut by it: --col-clips segments" in caplog.text


def test_two_columns_of_one_name_are_refused_where_they_matter(caplog):
    with pytest.raises(ConfigError, match="two columns are called 'start'"):
        map_columns("m.csv", ("path", "start"), options=ManifestOptions(), repeated={"start"})
    assert map_columns("m.csv", ("path", "mood"), options=ManifestOptions(), repeated={"mood"}) == {"path": "path"}
    assert "of two columns called mood the first counts" in caplog.text
