"""Checkpoints in every form they are shared in, and what is said about the wrong ones."""

import hashlib
import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from labelers.cotracker3 import build_model, checkpoints
from labelers.cotracker3.checkpoints import LICENSE, load_checkpoint, load_weights
from pipeline.errors import ConfigError


class Model(nn.Module):
    """Three of the public names in small, and the buffer that tells the variants apart."""

    time_emb: Tensor

    def __init__(self, window_len: int = 60) -> None:
        super().__init__()
        self.register_buffer("time_emb", torch.zeros(1, window_len, 6))
        self.fnet = nn.Sequential()
        self.fnet.add_module("conv1", nn.Conv2d(3, 4, 7))
        self.corr_mlp = nn.Sequential()
        self.corr_mlp.add_module("fc1", nn.Linear(5, 2))


def weights_of(window_len: int = 60) -> dict[str, Tensor]:
    return {name: torch.full_like(tensor, i + 0.25) for i, (name, tensor) in enumerate(Model(window_len).state_dict().items())}


@pytest.fixture
def write(tmp_path):
    """write(content) -> path of a file that torch.save made of it."""

    def write_file(content: object) -> str:
        torch.save(content, tmp_path / "w.pth")
        return str(tmp_path / "w.pth")

    return write_file


def wrapped(state_dict: Mapping[str, Tensor], form: str) -> dict[str, object]:
    named = {f"module.{name}": tensor for name, tensor in state_dict.items()} if "module" in form else dict(state_dict)
    return {"model": named, "total_steps": 3} if "model" in form.split("+") else named


@pytest.mark.parametrize("form", ["bare", "model", "module.", "model+module."])
def test_every_form_fills_the_model(write, form):
    expected, model = weights_of(), Model()
    path = write(wrapped(expected, form))
    checkpoint = load_checkpoint(path)
    load_weights(model, checkpoint)
    torch.testing.assert_close(dict(model.state_dict()), expected, rtol=0, atol=0)
    assert checkpoint.source == checkpoint.path == path
    assert checkpoint.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert checkpoint.license == LICENSE


def test_the_models_themselves_take_their_own_weights_and_not_each_others(write):
    original, copy = build_model("offline"), build_model("offline")
    with torch.no_grad():
        for entry in copy.state_dict().values():
            entry.zero_()
    checkpoint = load_checkpoint(write(wrapped(original.state_dict(), "model+module.")))
    load_weights(copy, checkpoint)
    assert all(torch.equal(entry, copy.state_dict()[name]) for name, entry in original.state_dict().items())
    with pytest.raises(ConfigError, match="use --labeler cotracker3-offline, or the checkpoint of the online model"):
        load_weights(build_model("online"), checkpoint)


def test_a_hub_file_comes_from_the_cache_and_is_held_to_its_hash(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    torch.save(weights_of(), buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    repo = tmp_path / "models--facebook--cotracker3"
    blob, link = repo / "blobs" / digest, repo / "snapshots" / ("a" * 40) / "scaled_offline.pth"
    for path in (blob, link, repo / "refs" / "main"):
        path.parent.mkdir(parents=True)
    blob.write_bytes(buffer.getvalue())
    link.symlink_to(os.path.relpath(blob, link.parent))
    (repo / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    found = load_checkpoint("hf://facebook/cotracker3/scaled_offline.pth")
    assert (found.source, found.path, found.sha256) == ("hf://facebook/cotracker3/scaled_offline.pth", str(link), digest)

    torch.save(weights_of(16), blob)
    with pytest.raises(ConfigError, match=f"the copy in the cache is damaged: .*the hub's is {digest}; delete {blob} and run"):
        load_checkpoint("hf://facebook/cotracker3/scaled_offline.pth")


def test_an_expected_hash_reaches_the_file(write):
    with pytest.raises(ConfigError, match="it is another file than the one meant"):
        load_checkpoint(write(weights_of()), sha256="0" * 64)


def test_the_licence_is_said_once_unless_the_weights_are_ones_own(write, caplog):
    checkpoints._give_notice.cache_clear()
    path = write(weights_of())
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint(path, license="MIT").license == "MIT"
        assert not caplog.records
        load_checkpoint(path)
        load_checkpoint(path)
    assert [record.getMessage() for record in caplog.records if "CC BY-NC 4.0" in record.getMessage()] == [caplog.records[0].getMessage()]
    assert "non-commercial use only" in caplog.text


@pytest.mark.parametrize("updater", ["track_feat_updater.0.weight", "ffeat_updater.0.weight"])
def test_an_earlier_cotracker_is_named(write, updater):
    earlier = {name: tensor for name, tensor in weights_of(8).items() if not name.startswith("corr_mlp")}
    earlier |= {updater: torch.zeros(2, 2), "vis_predictor.0.weight": torch.zeros(1, 2), "norm.weight": torch.ones(2)}
    with pytest.raises(ConfigError, match=rf"earlier CoTracker, version 1 or 2 \(it has {updater}, vis_.*Use hf://facebook/cotracker3"):
        load_checkpoint(write({"model": earlier}))


@pytest.mark.parametrize(("given", "wanted", "named"), [(16, 60, "online"), (60, 16, "offline")])
def test_weights_of_the_other_variant_name_the_labeler_to_use(write, given, wanted, named):
    with pytest.raises(ConfigError, match=rf"weights of the {named} model, .*\[1, {given}, 6\].*use --labeler cotracker3-{named}, or"):
        load_weights(Model(wanted), load_checkpoint(write(weights_of(given))))


def test_weights_for_another_window_name_the_length_to_build(write):
    with pytest.raises(ConfigError, match="made for windows of 24 frames: .*window_len=24"):
        load_weights(Model(60), load_checkpoint(write(weights_of(24))))
    with pytest.raises(ConfigError, match="made for windows of 60 frames: .*window_len=60"):
        load_weights(Model(24), load_checkpoint(write(weights_of(60))))


def test_missing_unexpected_and_misshapen_entries_are_named_and_the_model_left_alone(write):
    wrong, model = weights_of(16), Model()  # the other variant too: that is not what is wrong with it
    del wrong["fnet.conv1.weight"]
    wrong |= {f"head.{i}": torch.zeros(1) for i in range(5)}
    wrong["corr_mlp.fc1.weight"] = torch.zeros(2, 9)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError) as caught:
        load_weights(model, load_checkpoint(write(wrong)))
    assert "of 5 entries 1 missing: fnet.conv1.weight; 5 unexpected: head.0, head.1, head.2 and 2 more; 1 of another shape" in str(
        caught.value
    )
    assert "corr_mlp.fc1.weight [2, 9] for [2, 5]" in str(caught.value)
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


def test_half_of_the_names_with_a_prefix_is_not_guessed_at(write):
    mixed = {("module." if i % 2 else "") + name: tensor for i, (name, tensor) in enumerate(weights_of().items())}
    with pytest.raises(ConfigError, match=r"2 missing: .*2 unexpected: module\."):
        load_weights(Model(), load_checkpoint(write(mixed)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "holds a list, expected tensors by name"),
        ({}, "holds nothing, expected tensors by name"),
        ({"model": {}}, "holds nothing, expected tensors by name"),
        ({"state_dict": {"a": torch.zeros(1)}, "epoch": 3}, "state_dict, epoch are no tensors"),
        ({"a": torch.tensor([0.0, float("nan")]), "b": torch.zeros(1)}, ": a hold NaN or inf"),
    ],
)
def test_what_is_not_weights_by_name_is_refused(write, content, message):
    with pytest.raises(ConfigError, match=message):
        load_checkpoint(write(content))
