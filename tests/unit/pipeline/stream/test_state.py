import json

import pytest

from pipeline.errors import ConfigError
from pipeline.stream.config import StreamConfig
from pipeline.stream.state import index_of, state_at


def make_config(**options):
    return StreamConfig(root="r", **options)


def test_a_state_is_plain_json_and_gives_its_index_back():
    state = json.loads(json.dumps(state_at(41, make_config(split="train"), "abc")))
    assert index_of(state, make_config(split="train"), "abc") == 41


def test_every_difference_is_named():
    state = state_at(41, make_config(split="train", labels="a-12345678", seed=3), "abc")
    with pytest.raises(ConfigError) as error:
        index_of(state, make_config(split="val", labels=None, seed=4), "abd")
    for part in ("plan_hash is 'abd'", "'abc'", "split is 'val'", "labels is None", "seed is 4, in the state it was 3", "start anew"):
        assert part in str(error.value)


def test_an_audit_and_what_it_keeps_belong_to_the_sequence():
    state = json.loads(json.dumps(state_at(41, make_config(audit="a", audit_keeps=("keep", "quarantine")), "abc")))
    assert index_of(state, make_config(audit="a", audit_keeps=["quarantine", "keep"]), "abc") == 41
    for audit, message in (("b", "audit is 'b', in the state it was 'a'"), ("a", "audit_keeps is "), (None, "audit is None")):
        with pytest.raises(ConfigError, match=message):
            index_of(state, make_config(audit=audit), "abc")


def test_a_state_from_before_there_were_audits_still_serves():
    state = state_at(41, make_config(labels="a-12345678"), "abc")
    del state["audit"], state["audit_keeps"]
    assert index_of(state, make_config(labels="a-12345678"), "abc") == 41


def test_ranks_window_size_and_epochs_may_change():
    changed = make_config(rank=2, world_size=4, num_frames=7, frame_stride=2, size=(4, 4), epochs=3, on_error="skip")
    assert index_of(state_at(41, make_config(), "abc"), changed, "abc") == 41


@pytest.mark.parametrize("index", [None, -1, "3", 2.0, True])
def test_what_is_no_state_is_refused(index):
    with pytest.raises(ConfigError, match="not a state of a stream"):
        index_of({**state_at(1, make_config(), "abc"), "index": index}, make_config(), "abc")
