import json

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.shards.plan import PlanCounts
from pipeline.stream.clip_stream import index_of, state_at
from pipeline.stream.config import StreamConfig


def make_plan(*hashes: str) -> PlanCounts:
    empty = np.zeros(0, np.int64)
    return PlanCounts(shards=empty, splits={}, shard_hashes=empty, plan_hashes=hashes)


PLAN, OTHER = make_plan("abc"), make_plan("abd")


def make_config(**options):
    return StreamConfig(root="r", **options)


def test_a_state_is_plain_json_and_gives_its_index_back():
    state = json.loads(json.dumps(state_at(41, make_config(split="train"), PLAN)))
    assert index_of(state, make_config(split="train"), PLAN) == 41


def test_every_difference_is_named():
    state = state_at(41, make_config(split="train", labels="a-12345678", seed=3), PLAN)
    with pytest.raises(ConfigError) as error:
        index_of(state, make_config(split="val", labels=None, seed=4), OTHER)
    for part in (
        "plan_hash is 'abd' after 1 parts",
        "'abc'",
        "split is 'val'",
        "labels is None",
        "seed is 4, in the state it was 3",
        "start anew",
    ):
        assert part in str(error.value)


def test_an_audit_and_what_it_keeps_belong_to_the_sequence():
    state = json.loads(json.dumps(state_at(41, make_config(audit="a", audit_keeps=("keep", "quarantine")), PLAN)))
    assert index_of(state, make_config(audit="a", audit_keeps=["quarantine", "keep"]), PLAN) == 41
    for audit, message in (("b", "audit is 'b', in the state it was 'a'"), ("a", "audit_keeps is "), (None, "audit is None")):
        with pytest.raises(ConfigError, match=message):
            index_of(state, make_config(audit=audit), PLAN)


def test_a_state_from_before_there_were_audits_still_serves():
    state = state_at(41, make_config(labels="a-12345678"), PLAN)
    del state["audit"], state["audit_keeps"]
    assert index_of(state, make_config(labels="a-12345678"), PLAN) == 41


def test_ranks_window_size_and_epochs_may_change():
    changed = make_config(rank=2, world_size=4, num_frames=7, frame_stride=2, size=(4, 4), fit="pad", epochs=3, on_error="skip")
    assert index_of(state_at(41, make_config(), PLAN), changed, PLAN) == 41


@pytest.mark.parametrize("index", [None, -1, "3", 2.0, True])
def test_what_is_no_state_is_refused(index):
    with pytest.raises(ConfigError, match="not a state of a stream"):
        index_of({**state_at(1, make_config(), PLAN), "index": index}, make_config(), PLAN)


def test_a_state_goes_on_in_a_plan_that_has_grown_and_only_in_that_one():
    state = json.loads(json.dumps(state_at(41, make_config(), make_plan("abc", "def"))))
    assert (state["parts"], index_of(state, make_config(), make_plan("abc", "def", "0"))) == (2, 41)
    for other in (make_plan("abc"), make_plan("abc", "deg", "0"), make_plan("0", "abc")):
        with pytest.raises(ConfigError, match="another sequence of clips: plan_hash is .* after 2 parts"):
            index_of(state, make_config(), other)
    del state["parts"]  # from before plans had parts
    assert index_of({**state, "plan_hash": "abc"}, make_config(), make_plan("abc", "def")) == 41


@pytest.mark.parametrize("parts", [0, -1, "2", 1.5, True])
def test_a_state_of_no_parts_is_refused(parts):
    with pytest.raises(ConfigError, match="its parts are"):
        index_of({**state_at(1, make_config(), PLAN), "parts": parts}, make_config(), PLAN)
