import pickle

import pytest

from pipeline.errors import ConfigError
from pipeline.stream import StreamConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0, expected at least 1"),
        ({"frame_stride": 0}, "frame_stride is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"seed": -1}, "seed is -1, expected at least 0"),
        ({"rank": 2, "world_size": 2}, "rank is 2, expected below world_size, which is 2"),
        ({"size": (0, 4)}, r"expected \(height, width\)"),
        ({"short_clips": "drop"}, "short_clips is 'drop', expected one of keep, skip"),
        ({"on_error": "ignore"}, "expected one of raise, skip"),
        ({"audit": "strict"}, "no audit found"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(options, message):
    with pytest.raises(ConfigError, match=message):
        StreamConfig(root="r", **options)


def test_a_configuration_crosses_into_another_process():
    config = StreamConfig(root="r", size=(3, 4))
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_path_serves_as_root(tmp_path):
    assert StreamConfig(root=tmp_path).root == str(tmp_path)
