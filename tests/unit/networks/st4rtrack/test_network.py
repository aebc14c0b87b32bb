"""Names and shapes of the public files, entries of two names, sizes, gradients and bad input."""

import argparse

import pytest
import safetensors.torch
import torch

from networks import build_model, model_name
from networks.weights import load_model, load_weights, read_weights, save_weights, start_from
from pipeline.errors import ConfigError, DataError

TINY = {
    **{"enc_embed_dim": 16, "enc_depth": 1, "enc_num_heads": 2, "dec_embed_dim": 16, "dec_depth": 4, "dec_num_heads": 2},
    **{"dpt_feature_dim": 8, "dpt_last_dim": 8, "dpt_layer_dims": [4, 8, 8, 8], "local_feat_dim": 3},
}
SECOND = "downstream_head1.dpt.scratch.layer_rn.2.weight"
FIRST = "downstream_head1.dpt.scratch.layer3_rn.weight"


def shapes(model):
    return {name: list(entry.shape) for name, entry in model.state_dict().items()}


@pytest.mark.parametrize(("name", "file"), [("st4rtrack", "st4rtrack"), ("dust3r", "dust3r_dpt512"), ("mast3r", "mast3r")])
def test_full_size_has_the_public_names_shapes_order_and_aliases(name, file, manifest):
    with torch.device("meta"):
        model = build_model(name)
    expected = manifest(file)
    assert list(shapes(model).items()) == list(expected["state_dict"].items())
    assert model.aliases() == expected["aliases"]
    assert sum(parameter.numel() for parameter in model.parameters()) == expected["parameters"]
    assert len(list(model.parameters())) == expected["distinct_tensors"]


def test_linear_heads_have_the_public_counts():
    with torch.device("meta"):
        model = build_model("dust3r", {"head_type": "linear"})
    assert len(model.state_dict()) == 877
    assert sum(parameter.numel() for parameter in model.parameters()) == 532_342_784


def test_small_weights_by_formula(twin, manifest):
    expected = manifest("small")["state_dict"]
    entries = twin["mast3r"].state_dict()
    assert {name: list(entry.shape) for name, entry in entries.items()} == {name: shape for name, (shape, _) in expected.items()}
    for name, (_, (total, squares, first, last)) in expected.items():
        values = entries[name].double().flatten()
        found = [float(values.sum()), float(values.square().sum()), float(values[0]), float(values[-1])]
        assert found == pytest.approx([total, squares, first, last], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kept", ["first", "second", "both"])
@pytest.mark.parametrize("format", ["pth", "safetensors"])
def test_a_file_may_hold_either_name_of_a_tensor_or_both(kept, format, tmp_path):
    model = build_model("st4rtrack", TINY)
    seconds = model.aliases()
    dropped = {"first": set(seconds), "second": set(seconds.values()), "both": set()}[kept]
    tensors = {name: entry.clone() for name, entry in model.state_dict().items() if name not in dropped}
    path = tmp_path / f"model.{format}"
    if format == "pth":  # as the authors' trainings write it: options beside the weights
        options = argparse.Namespace(model="AsymmetricCroCo3DStereo(...)", lr=1e-4)
        torch.save({"args": options, "model": tensors, "epoch": 3}, path)
    else:
        safetensors.torch.save_file(tensors, path)
    other = build_model("st4rtrack", TINY, generator=torch.Generator().manual_seed(5))
    load_weights(other, read_weights(str(path)))
    torch.testing.assert_close(dict(other.state_dict()), dict(model.state_dict()), rtol=0, atol=0)


def test_two_names_with_two_values_are_refused(tmp_path):
    tensors = {name: entry.clone() for name, entry in build_model("st4rtrack", TINY).state_dict().items()}
    tensors[SECOND] += 1
    torch.save(tensors, tmp_path / "model.pth")
    with pytest.raises(ConfigError, match=f"{FIRST} and {SECOND} are one tensor of the network, and differ"):
        load_weights(build_model("st4rtrack", TINY), read_weights(str(tmp_path / "model.pth")))


@pytest.mark.parametrize("name", ["st4rtrack", "mast3r"])
def test_saved_files_hold_a_tensor_once_and_build_the_network_again(name, tmp_path):
    model = build_model(name, TINY)
    save_weights(str(tmp_path / "a.safetensors"), model)
    assert SECOND not in safetensors.torch.load_file(tmp_path / "a.safetensors")
    again = load_model(str(tmp_path / "a.safetensors"))
    assert model_name(again) == name
    torch.testing.assert_close(dict(again.state_dict()), dict(model.state_dict()), rtol=0, atol=0)
    save_weights(str(tmp_path / "b.safetensors"), again)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_st4rtrack_begins_from_mast3rs_file(tmp_path):
    source = build_model("mast3r", TINY, generator=torch.Generator().manual_seed(1))
    torch.save({"model": source.state_dict()}, tmp_path / "mast3r.pth")
    model = build_model("st4rtrack", TINY)
    report = start_from(model, read_weights(str(tmp_path / "mast3r.pth")))
    assert report.model == "mast3r"
    assert report.new == ()
    assert {name.split(".")[1] for name in report.unused} == {"head_local_features"}
    assert len(report.unused) == 8
    assert "non-commercial" in str(report.license)
    for name, entry in model.state_dict().items():
        assert torch.equal(entry, source.state_dict()[name])


@pytest.mark.parametrize(("name", "head"), [("dust3r", "linear"), ("mast3r", "dpt"), ("st4rtrack", "dpt")])
def test_sizes_of_a_public_file_are_read_from_its_shapes(name, head, tmp_path):
    sizes = {**TINY, "enc_embed_dim": 64, "enc_num_heads": 1, "dec_embed_dim": 128, "hooks": None}  # heads of 64 channels
    sizes = {**sizes, "local_feat_dim": 24, "head_type": head}
    model = build_model(name, sizes)
    torch.save({"model": model.state_dict()}, tmp_path / "public.pth")
    again = load_model(str(tmp_path / "public.pth"))
    assert model_name(again) == name
    torch.testing.assert_close(dict(again.state_dict()), dict(model.state_dict()), rtol=0, atol=0)


def test_linear_heads_given_to_st4rtrack_are_refused_with_a_remedy(tmp_path):
    torch.save(build_model("dust3r", {**TINY, "head_type": "linear"}).state_dict(), tmp_path / "linear.pth")
    with pytest.raises(ConfigError, match="weights of dust3r with linear heads, and st4rtrack has DPT heads; begin from hf://naver/MASt3R"):
        load_weights(build_model("st4rtrack", TINY), read_weights(str(tmp_path / "linear.pth")))
    with pytest.raises(
        ConfigError, match="dust3r with linear heads, and a network with DPT heads is asked for; begin from hf://naver/MASt3R"
    ):
        start_from(build_model("st4rtrack", {**TINY, "enc_num_heads": 1, "dec_num_heads": 1}), read_weights(str(tmp_path / "linear.pth")))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"enc_num_heads": 3}, "enc_embed_dim 1024 over 3 heads"),
        ({"hooks": [0, 6, 9, 13]}, "up to dec_depth 12"),
        ({"dpt_layer_dims": [96]}, "dpt_layer_dims"),
        ({"head_type": "linear"}, "DUSt3R's alone"),
        ({"enc_width": 3}, "enc_width"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(ConfigError, match=message), torch.device("meta"):
        build_model("st4rtrack", sizes)


def test_images_that_do_not_fit_are_refused(st4rtrack):
    whole = torch.zeros(1, 3, 32, 48)
    with pytest.raises(DataError, match="30 x 48 pixels are no whole patches of 16"):
        st4rtrack(whole[:, :, :30], whole)
    with pytest.raises(DataError, match="1 first images and 2 second ones"):
        st4rtrack(whole, whole.expand(2, -1, -1, -1))
    with pytest.raises(DataError, match=r"expected floating \[B, 3, H, W\]"):
        st4rtrack(whole.to(torch.uint8), whole)


def test_entries_that_nothing_reads_are_frozen_and_all_others_trained():
    model = build_model("st4rtrack", TINY, generator=torch.Generator().manual_seed(2))
    images = torch.rand(2, 1, 3, 32, 48, generator=torch.Generator().manual_seed(3)) * 2 - 1
    output = model(images[0], images[1])
    sum(term.square().sum() for term in (output.point_map_1, output.confidence_1, output.point_map_2, output.confidence_2)).backward()
    unread = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert {name.split(".conv")[0] for name in unread} == {
        "mask_token",
        *(f"downstream_head{head}.dpt.scratch.refinenet4.resConfUnit1" for head in (1, 2)),
    }
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == sorted(unread, key=list(shapes(model)).index)


def test_recomputing_runs_blocks_again_and_changes_no_gradient():
    images = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1
    found, runs = [], []
    for again in (False, True):
        model = build_model("st4rtrack", {**TINY, "computing": {"gradient_checkpointing": again}})
        calls = []
        for block in (*model.enc_blocks, *model.dec_blocks, *model.dec_blocks2):
            block.mlp.register_forward_pre_hook(lambda module, inputs, calls=calls: calls.append(module))
        runs.append(calls)
        output = model(images[0], images[1])
        (output.point_map_1.square().sum() + output.point_map_2.sum()).backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    assert len(runs[0]) == 2 * 1 + 4 + 4  # the encoder's block sees either image
    assert len(runs[1]) == 2 * len(runs[0])
