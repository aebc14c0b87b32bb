import pytest

from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "sekaii"}, "--preset 'sekaii' is not known here; choose one of folder, sekai"),
        ({"limit": 0}, "--limit is 0"),
        ({"frame_base_fps": 0.0}, "--frame-base-fps is 0.0"),
        ({"frame_base_fps": float("nan")}, "--frame-base-fps is nan"),
        ({"extensions": ("mp4",)}, "extensions mp4 must begin with a dot"),
        ({"extensions": ()}, r"extensions \(none\)"),
        ({"preset": "folder", "col_path": "x"}, "--col-path: --preset folder reads no table"),
        ({"col_clips": "c", "col_start": "s"}, "--col-clips holds both bounds"),
        ({"col_end_frame": "e"}, "--col-end-frame needs --col-start-frame"),
        ({"path_template": "clips/x.mp4"}, "must name columns in braces"),
        ({"path_template": "{a"}, "cannot be read"),
        ({"path_template": "{a.__class__}"}, "must name columns in braces"),
        ({"path_template": "{a!r}"}, "must name columns in braces"),
        ({"path_template": "{a:>9}"}, "must name columns in braces"),
    ],
)
def test_options_that_cannot_be_right_name_their_flag(options, message):
    with pytest.raises(ConfigError, match=message):
        ManifestOptions(**options)


def test_columns_are_those_that_a_flag_maps():
    assert ManifestOptions(col_path="file", col_start_frame="first").columns == {"path": "file", "start_frame": "first"}
