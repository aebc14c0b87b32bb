"""Stages and outputs of the decoder against the public code's, and its operations against independent computations."""

from typing import Any

import numpy as np
import pytest
import torch

from networks import build_model
from networks.layers.blocks import wave_encoding
from networks.track4world.correlation import anchor_grid, encode_motion, lookup, pooled_features, sample_maps, strided_points
from networks.track4world.features import Window, time_rows, time_table
from networks.track4world.network import padding_of
from networks.track4world.update import upsample
from tests.track4world_golden import GOLDEN, Case, arrays, fill, noise

FLOW, POINT = 3e-5, 1e-5


@pytest.fixture(scope="module")
def seeds():
    with np.load(GOLDEN.parent / "seeds" / "t4w_decoder_ops.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.fixture(scope="module")
def pair(small, case):
    """Features of frames 0 and 1, and the four states of the flow between them."""
    with torch.no_grad():
        features = small.encode(case.images(2), case.bundle(2))
        states = list(small.iterate(Window(source=features[:, 0], targets=features[:, 1:]), 4))
    return features, states


def test_lookup_of_pooled_and_of_strided_targets(seeds, close):
    source, target, coordinates = (seeds[name][None].float() for name in ("fmap1", "fmap2", "coords"))
    for levels, name in ((pooled_features(target, 3), "corr_area"), (strided_points(target, 3), "corr_nearest")):
        close(lookup(source, levels, coordinates, radius=2, budget_mb=64)[0], seeds[name], 1e-4)


def test_codes_of_time_and_motion_and_convex_upsampling(seeds, close, stages):
    close(wave_encoding(seeds["posenc_in"], (0, 9)), seeds["posenc_out"], 1e-9)
    close(time_table(8, 128), seeds["time_embed_8x128"], 1e-6)
    close(time_rows(time_table(4, 32), 3), stages["time_interp_4to3"], 1e-6)
    for low, high, factor in (("lowres2", "up2d", 8), ("lowres3", "up3d", 1)):
        close(upsample(factor * seeds[low][None], seeds["mask_logits"][None])[0], seeds[high], 1e-9)


def test_weights_by_formula(small, manifest):
    expected = manifest("small")
    entries = small.state_dict()
    assert list(entries) == list(expected)
    for name, entry in expected.items():
        values = entries[name].double().flatten()
        found = [float(values.sum()), float(values.square().sum()), float(values[0]), float(values[-1])]
        assert list(entries[name].shape) == entry["shape"]
        assert found == pytest.approx(entry["check"], rel=1e-6, abs=1e-6), name


def test_preparation(small, case, io, stages, pair, close):
    features, _ = pair
    bundle = case.bundle(2)
    for name, found in (("g", features.geometry), ("c", features.context), ("d", features.detail), ("pm", features.points)):
        close(found[0], stages[name], 1e-5)
    padding = padding_of(case.images(2))
    close(padding.crop(bundle.points[0, 1])[:, ::2, ::2], io["pair_points_t1"], POINT)
    close(padding.crop(bundle.mask[0, 1])[None, ::2, ::2], io["pair_mask_t1"], POINT)
    close(bundle.camera_poses[0], io["pair_poses"], POINT)


def test_aggregator_without_special_tokens_counts_patches_from_0(small, stages, close):
    tokens = torch.from_numpy(noise("small/agg0", (1, 2, 12, 32)))
    close(small.flow_aggregator(tokens, (3, 4), 0), stages["agg_nospecial_out"], 1e-5)


def test_states_of_a_pair(pair, stages, close):
    _, states = pair
    flow, flow3d, visconf = 0, 0, 0
    for number, state in enumerate(states):
        flow = flow + stages[f"it{number}_flow_2d_head"]
        flow3d = flow3d + stages[f"it{number}_dF"]
        visconf = visconf + stages[f"it{number}_flow_visconf_head"]
        close(state.hidden[0], stages[f"it{number}_h"], 5e-5)
        close(state.detail[0], stages[f"it{number}_d"], 5e-5)
        close(state.flow[0], flow, 1e-5)
        close(state.flow3d[0], flow3d, 1e-6)
        close(state.visconf[0], visconf, 1e-5)


def test_inputs_of_the_second_iteration(small, pair, stages, close):
    features, states = pair
    source, target, flow, flow3d = features[:, 0], features[:, 1], states[0].flow, states[0].flow3d
    before = anchor_grid(flow) + flow
    for name, maps, levels in (
        ("g", source.geometry, pooled_features(target.geometry, 3)),
        ("c", source.context, pooled_features(target.context, 3)),
        ("p", source.points + flow3d, strided_points(target.points, 3)),
    ):
        close(lookup(maps, levels, before, radius=2, budget_mb=1)[0, :, :, ::2], stages[f"it1_corr_{name}"], 5e-5)
    close(encode_motion(flow)[0], stages["it1_motion2d"], 2e-3)
    close(encode_motion(flow3d)[0], stages["it1_motion3d"], 2e-3)
    close(sample_maps(target.detail, before)[0], stages["it1_s_pre"], 5e-5)
    after = anchor_grid(flow) + states[1].flow
    close(sample_maps(target.detail, after)[0], stages["it1_s_post"], 5e-5)
    close((sample_maps(target.points, after) - sample_maps(target.points, before))[0], stages["it1_prior"], 1e-5)


def test_flow_of_a_pair_after_every_iteration(small, case, io, pair, close):
    with torch.no_grad():
        flows = [small.upsample(state, padding_of(case.images(2)), 1) for state in pair[1]]
    for number, found in enumerate(flows):
        close(found.flow[0, 0], io[f"pair_flow2d_it{number}"], FLOW)
        close(found.flow3d[0, 0], io[f"pair_flow3d_it{number}"], POINT)
        close(found.visconf[0, 0], io[f"pair_visconf_it{number}"], POINT)


def test_gradients_reach_the_parameters_that_the_public_code_trains(small_config, case, stages, io):
    model = fill(build_model("track4world", {**small_config, "computing": {"gradient_checkpointing": True}}))
    parameters = dict(model.named_parameters())
    flows = model(case.images(2), case.bundle(2), num_iterations=2)
    terms = {"2d": ("flow", "flow2d"), "vis": ("visconf", "visconf"), "3d": ("flow3d", "flow3d")}
    with np.load(GOLDEN / "small_stages.npz") as file:
        names = [str(name) for name in file["grad_names"]]
    for loss, (field, name) in terms.items():
        # mean absolute values, with the public code's signs: a value of 1e-7 has another one on another processor
        total = sum((getattr(one, field)[0, 0] * io[f"pair_{name}_it{number}"].sign()).mean() for number, one in enumerate(flows))
        gradients = torch.autograd.grad(total, list(parameters.values()), retain_graph=True, allow_unused=True)
        found = {name: 0.0 if grad is None else float(grad.norm()) for name, grad in zip(parameters, gradients, strict=True)}
        expected = dict(zip(names, stages[f"grad_{loss}"].tolist(), strict=True))
        assert set(found) == set(expected)
        assert {name for name, norm in found.items() if norm} == {name for name, norm in expected.items() if norm}
        for name, norm in expected.items():
            assert found[name] == pytest.approx(norm, rel=1e-4, abs=1e-8), (loss, name)


def test_correlation_in_parts_is_the_same(small_config, small, case, pair, close):
    model = build_model("track4world", {**small_config, "computing": {"correlation_mb": 0.01}})  # a few anchors of one target
    model.load_state_dict(small.state_dict())
    with torch.no_grad():
        state = list(model.iterate(Window(source=pair[0][:, 0], targets=pair[0][:, [1, 0, 1]]), 2))[-1]
        whole = list(small.iterate(Window(source=pair[0][:, 0], targets=pair[0][:, [1, 0, 1]]), 2))[-1]
    close(state.flow, whole.flow, 1e-5)
    close(state.flow3d, whole.flow3d, 1e-6)


def test_real_widths(close):
    config: dict[str, Any] = {"backbone": "none"}
    with torch.device("meta"):
        model = build_model("track4world", config)
    model = fill(_materialised(model)).requires_grad_(False)
    io = arrays("full_pair.npz")
    case = Case(name="full", io=io, token_width=1024)
    with torch.no_grad():
        features = model.encode(case.images(2), case.bundle(2))
        states = list(model.iterate(Window(source=features[:, 0], targets=features[:, 1:]), 2))
        found = [model.upsample(state, padding_of(case.images(2)), 1) for state in states]
    for name, maps in (("g", features.geometry[0, :, ::8, ::4, ::4]), ("c", features.context[0, :, ::8, ::4, ::4])):
        close(maps, io[name], 5e-5)
    close(features.detail[0, :, ::32, ::4, ::4], io["d"], 5e-5)
    for number, one in enumerate(found):
        close(one.flow[0, 0, :, ::4, ::4], io[f"flow2d_it{number}"], 1e-4)
        close(one.flow3d[0, 0, :, ::4, ::4], io[f"flow3d_it{number}"], 1e-5)
        close(one.visconf[0, 0, :, ::4, ::4], io[f"visconf_it{number}"], 2e-5)


def _materialised(model):
    model.to_empty(device="cpu")
    with torch.no_grad():
        model.fill_constants()
    return model
