"""Weights in and out of files."""

import hashlib
import logging
import resource
from collections import OrderedDict

import pytest
import safetensors.torch
import torch

from benchmarks.trajvg_formula_weights import fill_by_formula
from networks import build_model, model_name
from networks.weights import (
    TrainingShape,
    license_of,
    load_model,
    load_weights,
    read_weights,
    save_weights,
    start_from,
    training_shape_of,
    warn_non_commercial,
)
from pipeline.errors import ConfigError, FormatError, StorageError

WRONG_SHAPE = '{"schema_version": 1, "model": "pi3", "config": {}, "license": null, "trained_on": {"frames": 5}}'


@pytest.fixture
def tiny(tiny_config):
    """A model of any kind, filled by formula."""

    def build(name):
        model = build_model(name, tiny_config)
        fill_by_formula(model)
        return model

    return build


def saved(tensors, path, **options) -> str:
    safetensors.torch.save_file(tensors, path, **options)
    return str(path)


def assert_equal(model, tensors) -> None:
    torch.testing.assert_close(dict(model.state_dict()), dict(tensors), atol=0, rtol=0)


@pytest.mark.parametrize("name", ["pi3", "pi3x", "trajvg"])
def test_save_load_save_is_byte_for_byte(name, tiny, tmp_path):
    first, second = str(tmp_path / "a.safetensors"), str(tmp_path / "sub/b.safetensors")
    model = tiny(name)
    save_weights(first, model, license="CC0")
    again = load_model(first)
    assert model_name(again) == name
    assert_equal(again, model.state_dict())
    assert license_of(read_weights(first)) == "CC0"
    save_weights(second, again, license="CC0")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "sub/b.safetensors").read_bytes()


def test_the_header_tells_on_what_the_weights_were_trained(tiny, tmp_path):
    shape = TrainingShape(frames=(2, 24), pixels=(3200, 4800), aspect=(0.5, 2.0), strides=(1, 3))
    save_weights(str(tmp_path / "a"), tiny("pi3"), trained_on=shape)
    save_weights(str(tmp_path / "b"), tiny("pi3"))
    assert training_shape_of(read_weights(str(tmp_path / "a"))) == shape
    assert training_shape_of(read_weights(str(tmp_path / "b"))) is None
    assert b"trained_on" not in (tmp_path / "b").read_bytes()[:2000]
    wrong = saved(tiny("pi3").state_dict(), tmp_path / "c", metadata={"trackmill": WRONG_SHAPE})
    with pytest.raises(ConfigError, match=r"c: its header's trained_on"):
        training_shape_of(read_weights(wrong))


def test_a_checkpoint_may_be_read_by_whom_any_file_may_be(tiny, tmp_path):
    save_weights(str(tmp_path / "m.safetensors"), tiny("pi3"))
    (tmp_path / "plain").touch()
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_public_layout_loads_strictly_and_is_saved_whole(tiny, tiny_config, tmp_path):
    source = saved(tiny("pi3").state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = build_model("pi3", tiny_config)
    load_weights(model, read_weights(source))
    assert_equal(model, tiny("pi3").state_dict())
    outs = [tmp_path / "1.safetensors", tmp_path / "2.safetensors"]
    save_weights(str(outs[0]), model)
    save_weights(str(outs[1]), load_model(str(outs[0])))
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert_equal(model, safetensors.torch.load_file(outs[1]))


@pytest.mark.parametrize(("wrapper", "prefix"), [("", ""), ("state_dict", "module."), ("model", ""), ("module", "module.")])
def test_torch_files_of_all_layouts(wrapper, prefix, tiny, tiny_config, tmp_path):
    filled = tiny("trajvg").state_dict()
    tensors = OrderedDict((prefix + name, tensor) for name, tensor in filled.items())
    torch.save({wrapper: tensors, "step": 3} if wrapper else tensors, tmp_path / "model.pt")
    model = build_model("trajvg", tiny_config)
    load_weights(model, read_weights(str(tmp_path / "model.pt")))
    assert_equal(model, filled)


def test_a_url_is_read_like_a_path(tiny, tmp_path):
    import fsspec

    save_weights("memory://weights/m.safetensors", tiny("pi3"))
    assert_equal(load_model("memory://weights/m.safetensors"), tiny("pi3").state_dict())
    with fsspec.open("memory://weights/m.pt", "wb") as handle:
        torch.save(tiny("pi3").state_dict(), handle)
    assert read_weights("memory://weights/m.pt").tensors.keys() == tiny("pi3").state_dict().keys()


def test_a_file_that_does_not_fit_on_the_disk_is_named_and_leaves_the_old_one(tiny, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"the old one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*m\.safetensors: .*; see to the disk"):
            save_weights(str(path), tiny("pi3"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_hub_file_comes_from_the_cache_and_is_held_to_its_hash(tiny, tmp_path, monkeypatch):
    save_weights(str(tmp_path / "m"), tiny("pi3"))
    data = (tmp_path / "m").read_bytes()
    digest, repo = hashlib.sha256(data).hexdigest(), tmp_path / "models--org--model"
    blob, link = repo / "blobs" / digest, repo / "snapshots" / ("5" * 40) / "model.safetensors"
    for path in (blob, link, repo / "refs" / "main"):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    link.symlink_to(blob)
    (repo / "refs" / "main").write_text("5" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert read_weights("hf://org/model/model.safetensors").sha256 == digest
    blob.write_bytes(data[:-1] + b"!")
    with pytest.raises(ConfigError, match=f"the copy in the cache is damaged: .*the hub's is {digest}; delete {blob} and run"):
        load_model("hf://org/model/model.safetensors")


def test_half_precision_weights_go_into_a_float32_model(tiny, tiny_config, tmp_path):
    halves = {name: tensor.bfloat16() for name, tensor in tiny("pi3").state_dict().items()}
    model = build_model("pi3", tiny_config)
    load_weights(model, read_weights(saved(halves, tmp_path / "h.safetensors")))
    assert_equal(model, {name: tensor.float() for name, tensor in halves.items()})


def test_what_does_not_fit_is_named_and_the_model_left_alone(tiny, tiny_config, tmp_path):
    tensors = dict(tiny("pi3").state_dict())
    tensors["depth_scale"] = torch.zeros(2)
    del tensors["encoder.norm.weight"], tensors["encoder.norm.bias"]
    tensors["register_token"] = torch.zeros(1, 1, 4, 16)
    model = build_model("pi3", tiny_config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ConfigError) as caught:
        load_weights(model, read_weights(saved(tensors, tmp_path / "x.safetensors")))
    assert str(caught.value) == (
        f"{tmp_path}/x.safetensors does not fit pi3: of 168 entries 2 missing: encoder.norm.weight, encoder.norm.bias; 1 unexpected:"
        " depth_scale; 1 of another shape: register_token [1, 1, 4, 16] for [1, 1, 5, 16]. It was made with other sizes: build the"
        " model with its configuration"
    )
    assert_equal(model, before)


def test_another_model_is_recognised(tiny, tiny_config, tmp_path):
    source = saved(tiny("pi3x").state_dict(), tmp_path / "pi3x.safetensors")
    with pytest.raises(ConfigError, match="holds weights of pi3x: take that model, or begin trajvg from it with start_from"):
        load_weights(build_model("trajvg", tiny_config), read_weights(source))
    strange = saved({"aggregator.frame_blocks.0.norm1.weight": torch.zeros(4)}, tmp_path / "vggt.safetensors")
    with pytest.raises(ConfigError, match=r"another model \(by its names VGGT\); expected pi3 \(hf://yyfz233/Pi3/.*\), pi3x, trajvg, cotr"):
        load_model(strange)


def test_public_files_are_taken_for_full_size(tiny, tmp_path):
    with pytest.raises(ConfigError, match="does not fit pi3: of 1210 entries"):
        load_model(saved(tiny("pi3").state_dict(), tmp_path / "p.safetensors"))


def test_trajvg_from_pi3_leaves_exactly_the_new_parts(tiny, tiny_config, tmp_path):
    source = saved(tiny("pi3").state_dict(), tmp_path / "pi3.safetensors")
    model = build_model("trajvg", tiny_config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = start_from(model, read_weights(source))
    assert {name.split(".")[0] for name in report.new} == {"point_head", "conf_head", "track_decoder", "track_head"}
    assert report.unused == ("point_head.proj.weight", "point_head.proj.bias", "conf_head.proj.weight", "conf_head.proj.bias")
    given = tiny("pi3").state_dict()
    assert_equal(model, {name: before[name] if name in report.new else given[name] for name in before})
    assert (report.model, report.license) == ("pi3", "CC BY-NC 4.0 (yyfz/Pi3 weights, non-commercial)")


@pytest.mark.parametrize(("source", "num_loaded", "num_new", "num_unused"), [("pi3", 1206, 592, 4), ("pi3x", 1338, 460, 535)])
def test_the_public_counts_of_a_start(source, num_loaded, num_new, num_unused):
    from networks.weights import WeightFile

    with torch.device("meta"):
        tensors = build_model(source).state_dict()
        model = build_model("trajvg")
    report = start_from(model, WeightFile(source="pi", path="pi", sha256="0" * 64, tensors=tensors, metadata={}))
    assert (len(report.loaded), len(report.new), len(report.unused)) == (num_loaded, num_new, num_unused)


def test_a_start_from_an_incomplete_file_is_refused(tiny, tiny_config, tmp_path):
    tensors = dict(tiny("pi3").state_dict())
    del tensors["decoder.3.attn.qkv.weight"]
    with pytest.raises(ConfigError, match="1 missing: decoder.3.attn.qkv.weight. It is incomplete"):
        start_from(build_model("trajvg", tiny_config), read_weights(saved(tensors, tmp_path / "cut.safetensors")))


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_damaged_files(suffix, tiny, tmp_path):
    path = tmp_path / f"m.{suffix}"
    if suffix == "pt":
        torch.save(tiny("pi3").state_dict(), path)
    else:
        save_weights(str(path), tiny("pi3"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ConfigError, match=rf"m.{suffix} is damaged or cut short: {len(data) // 2} bytes, .*; fetch it again"):
        read_weights(str(path))
    path.write_bytes(b"<!DOCTYPE html><html>")
    with pytest.raises(
        ConfigError, match="no file of weights: it has 21 bytes and begins b'<!DOCTYPE html><html>', expected safetensors or"
    ):
        read_weights(str(path))


@pytest.mark.parametrize(("version", "remedy"), [(2, "update trackmill"), (0, "save it again")])
def test_other_versions_are_refused_both_ways(version, remedy, tiny, tmp_path):
    header = {"trackmill": f'{{"schema_version":{version},"model":"pi3","config":{{}},"license":null}}'}
    source = saved(tiny("pi3").state_dict(), tmp_path / "v.safetensors", metadata=header)
    with pytest.raises(FormatError, match=f"has schema version {version}, this trackmill reads 1; {remedy}"):
        load_model(source)


def test_a_licence_that_the_caller_knows_better_is_not_told(tiny, tiny_config, tmp_path, caplog):
    warn_non_commercial.cache_clear()
    source = saved(tiny("pi3").state_dict(), tmp_path / "t.safetensors")
    with caplog.at_level(logging.WARNING):
        load_weights(build_model("pi3", tiny_config), read_weights(source), license="MIT")
    assert not caplog.records


def test_the_licence_is_told_once(tiny, tiny_config, tmp_path, caplog):
    warn_non_commercial.cache_clear()
    source = saved(tiny("trajvg").state_dict(), tmp_path / "t.safetensors")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            load_weights(build_model("trajvg", tiny_config), read_weights(source))
    assert [record.getMessage() for record in caplog.records] == [
        "these weights are non-commercial (xingy038/TrajVG, derived from CC BY-NC 4.0 weights); so is what is made or trained from them"
    ]
