import pytest

from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions
from pipeline.manifest.columns import map_columns


def mapped(*found, **options):
    return map_columns("m.csv", found, options=ManifestOptions(**options))


def test_a_presets_columns_are_found_by_their_own_names():
    assert mapped("videoFile", "caption", preset="sekai") == {"id": "videoFile"}
    assert mapped("path", "start_s", "end_s", "extra") == {"path": "path", "start": "start_s", "end": "end_s"}


def test_a_flag_wins_over_the_presets_name():
    assert mapped("path", "file", col_path="file") == {"path": "file"}
    assert mapped("videoID", "span", preset="koala36m", col_clips="span") == {"id": "videoID", "clips": "span"}


def test_bounds_by_one_kind_of_flag_replace_those_of_another_kind():
    assert "clips" not in mapped("videoID", "timestamp", "s", "e", preset="panda70m", col_start="s", col_end="e")
    assert mapped("videoID", "s", "e", preset="panda70m", col_start="s", col_end="e").keys() == {"id", "start", "end"}
    assert mapped("path", "start_s", "end_s", "spans", col_clips="spans") == {"path": "path", "clips": "spans"}


def test_a_missing_column_names_what_was_found_and_the_flag():
    with pytest.raises(ConfigError, match="m.csv: no column 'path'; found name, text; name the right one with --col-path$"):
        mapped("name", "text")
    with pytest.raises(ConfigError, match="no column 'timestamp'; found videoID, spans; name the right one with --col-clips"):
        mapped("videoID", "spans", preset="panda70m")
    with pytest.raises(ConfigError, match="no column 'Start'; found path, start; name the right one with --col-start"):
        mapped("path", "start", col_start="Start")
    with pytest.raises(ConfigError, match="no column 'nope'.*--path-template"):
        mapped("path", path_template="{nope}/{path}")


def test_a_missing_column_hints_at_the_preset_whose_columns_are_there():
    with pytest.raises(ConfigError, match="or choose --preset sekai, whose columns are there"):
        mapped("videoFile", "cameraFile", "caption")


def test_sekai_may_name_its_clips_in_column_0():
    assert mapped("clip", "caption", preset="sekai") == {"id": "clip"}
    assert mapped("caption", "videoFile", preset="sekai") == {"id": "videoFile"}


def test_a_sekai_table_without_a_header_is_refused():
    with pytest.raises(ConfigError, match="first line names a clip"):
        mapped("_FP8j6WfkTY_0085528_0087328.mp4", "a street", preset="sekai")


def test_a_template_needs_no_path_column():
    assert mapped("folder", "video_id", path_template="{folder}/{video_id}") == {"id": "video_id"}
