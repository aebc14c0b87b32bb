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
        ({"audit": "a", "audit_keeps": "keep"}, "audit_keeps is 'keep', expected a tuple of one or more of keep, quarantine"),
        ({"audit": "a", "audit_keeps": ()}, r"audit_keeps is \(\), expected a tuple"),
        ({"audit": "a", "audit_keeps": ("keep", "drop")}, r"audit_keeps is \('keep', 'drop'\), expected a tuple"),
        ({"audit_keeps": ("keep", "quarantine")}, "without an audit; name the audit"),
        ({"arrays": False, "evaluation_truth": True}, "evaluation_truth asks for truth that arrays=False leaves on disk"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(options, message):
    with pytest.raises(ConfigError, match=message):
        StreamConfig(root="r", **options)


def test_a_configuration_crosses_into_another_process():
    config = StreamConfig(root="r", size=(3, 4))
    assert pickle.loads(pickle.dumps(config)) == config


def test_what_an_audit_keeps_is_a_set_in_any_order():
    kept = StreamConfig(root="r", audit="a", audit_keeps=["quarantine", "keep", "keep"])
    assert kept.audit_keeps == ("keep", "quarantine")
    assert kept == StreamConfig(root="r", audit="a", audit_keeps=("keep", "quarantine"))


def test_a_path_serves_as_root(tmp_path):
    assert StreamConfig(root=tmp_path).root == str(tmp_path)
