"""Options of jobs/shard.py that need reading."""

import pytest

from jobs.pseudolabel import parse_options
from jobs.shard import parse_bytes, parse_shares
from pipeline.datasets.planning import ConversionPolicy
from pipeline.errors import ConfigError
from pipeline.shards.dataset import DatasetIdentity, claim_dataset, shard_size
from pipeline.shards.policy import ClipPolicy


@pytest.mark.parametrize(("text", "expected"), [("1GB", 10**9), ("500 MB", 5 * 10**8), ("1.5k", 1500), ("123", 123), ("2T", 2 * 10**12)])
def test_sizes(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "1 GiB", "many"])
def test_a_size_that_is_none(text):
    with pytest.raises(ConfigError, match="write 1GB"):
        parse_bytes(text)


def test_shares():
    assert parse_shares("train=0.9, val=0.1") == {"train": 0.9, "val": 0.1}
    with pytest.raises(ConfigError, match="--split"):
        parse_shares("train:0.9")


def test_labeler_options_are_json_where_they_can_be():
    assert parse_options(["a=1", "b=0.5", "c=true", "d=fast", "e=x=y"]) == {"a": 1, "b": 0.5, "c": True, "d": "fast", "e": "x=y"}
    with pytest.raises(ConfigError, match="has no value"):
        parse_options(["fast"])


def test_a_root_keeps_the_shard_size_that_it_was_made_with(tmp_path):
    root = str(tmp_path / "root")
    assert shard_size(root) == ClipPolicy().clips_per_shard == ConversionPolicy().clips_per_shard == 16
    assert shard_size(root, 8) == 8
    made = ClipPolicy(clips_per_shard=64)
    claim_dataset(root, DatasetIdentity(kind="cut", policy=made.document()))
    assert shard_size(root) == 64
    assert shard_size(root, 16) == 16  # refused later, as any other option that differs
    claim_dataset(str(tmp_path / "tars"), DatasetIdentity(kind="registered", policy={"split_shares": {"train": 1.0}}))
    assert shard_size(str(tmp_path / "tars")) == 16
