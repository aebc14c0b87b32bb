"""CoTracker3's weights: public files and our own, and what is said about the wrong ones."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from networks import build_model, model_name
from networks.weights import WeightFile, build_with_weights, load_model, read_weights, save_weights, start_from
from networks.weights.fitting import check_fit
from pipeline.errors import ConfigError
from tests.cotracker3_golden import make_filled


def file_of(tensors: Mapping[str, Tensor]) -> WeightFile:
    return WeightFile(source="w.pth", path="w.pth", sha256="0" * 64, tensors=tensors, metadata={})


def entries(window_len: int) -> dict[str, Tensor]:
    """Two of the public names in small, and the buffer that tells the variants apart."""
    return {"time_emb": torch.zeros(1, window_len, 6), "corr_mlp.fc1.weight": torch.zeros(2, 5), "fnet.conv1.bias": torch.zeros(4)}


def refusal(tensors: Mapping[str, Tensor], name: str, window_len: int) -> str:
    shapes = {key: tuple(tensor.shape) for key, tensor in entries(window_len).items()}
    with pytest.raises(ConfigError) as caught:
        check_fit(file_of(tensors), shapes, name)
    return str(caught.value)


def test_a_public_file_is_known_by_its_names_and_refused_by_the_other_variant(tmp_path):
    original = make_filled("online")
    torch.save({"model": {f"module.{name}": entry for name, entry in original.state_dict().items()}}, tmp_path / "w.pth")
    loaded = load_model(str(tmp_path / "w.pth"))
    assert model_name(loaded) == "cotracker3-online"
    assert loaded.model_resolution == (384, 512)
    torch.testing.assert_close(dict(loaded.state_dict()), dict(original.state_dict()), rtol=0, atol=0)
    with pytest.raises(ConfigError, match=r"of 188 entries 1 of another shape: time_emb \[1, 16, 1110\] for \[1, 60, 1110\].*online"):
        build_with_weights("cotracker3-offline", None, read_weights(str(tmp_path / "w.pth")))


def test_our_own_file_says_the_resolution(tmp_path):
    original = make_filled("offline")
    save_weights(str(tmp_path / "w.safetensors"), original, license="MIT")
    loaded = load_model(str(tmp_path / "w.safetensors"))
    assert loaded.config == original.config
    assert loaded.model_resolution == (96, 128)
    torch.testing.assert_close(dict(loaded.state_dict()), dict(original.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize(("given", "wanted", "named"), [(16, "cotracker3-offline", "online"), (60, "cotracker3-online", "offline")])
def test_weights_of_the_other_variant_name_it(given, wanted, named):
    said = refusal(entries(given), wanted, 60 if named == "online" else 16)
    assert f"time_emb [1, {given}, 6]" in said
    assert said.endswith(f"It holds weights of cotracker3-{named}: take that model, or begin {wanted} from it with start_from")


def test_weights_for_another_window_were_made_with_other_sizes():
    said = refusal(entries(24), "cotracker3-offline", 60)
    assert said.endswith(
        "1 of another shape: time_emb [1, 24, 6] for [1, 60, 6]. It was made with other sizes: build the model with its configuration"
    )


@pytest.mark.parametrize("updater", ["track_feat_updater.0.weight", "ffeat_updater.0.weight"])
def test_an_earlier_cotracker_is_named_with_a_file_to_use(updater):
    earlier = {"time_emb": torch.zeros(1, 8, 6), updater: torch.zeros(2, 2), "vis_predictor.0.weight": torch.zeros(1, 2)}
    said = refusal(earlier, "cotracker3-online", 16)
    assert said.endswith(
        "It holds another model (by its names CoTracker 1 or 2); a file of cotracker3-online is needed, such as"
        " hf://facebook/cotracker3/scaled_online.pth"
    )


def test_missing_and_unexpected_entries_are_named():
    wrong = {name: tensor for name, tensor in entries(60).items() if name != "fnet.conv1.bias"}
    wrong |= {f"head.{i}": torch.zeros(1) for i in range(5)}
    assert "of 3 entries 1 missing: fnet.conv1.bias; 5 unexpected: head.0, head.1, head.2 and 2 more. It is incomplete" in refusal(
        wrong, "cotracker3-offline", 60
    )


def test_another_familys_weights_are_no_start():
    with torch.device("meta"):
        model = build_model("pi3")
    with pytest.raises(ConfigError, match=r"pi3 cannot begin from w\.pth, which holds weights of cotracker3-offline"):
        start_from(model, file_of(entries(60)))


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("cotracker3-offline", {"model_resolution": [383, 512]}, r"model_resolution \(383, 512\) as \(H, W\): expected multiples of 4"),
        ("cotracker3-offline", {"model_resolution": [28, 512]}, "of at least 32"),
        ("cotracker3-offline", {"model_resolution": 384}, "model.model_resolution is 384, expected a list"),
        ("cotracker3-offline", {"resolution": [384, 512]}, "model has no resolution; it has model_resolution, window_len, encoder"),
        ("cotracker3-offline", {"hidden": 20, "heads": 3}, "hidden is 20, expected a multiple of heads, 3"),
        ("cotracker3-offline", {"window_len": 0}, "window_len is 0, expected 1 or more"),
        ("cotracker3-online", {"window_len": 60}, "window_len is 60, the online model's windows have 16 frames"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name, config, message):
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        build_model(name, config)
