"""Parts of CoTracker3 against vectors of the public code. Tolerances: see tests/golden/cotracker3/README.md."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from networks import build_model
from networks.cotracker3.correlation import PATCH, correlate, query_patches, sample_patches
from networks.cotracker3.features import LEVELS, Features, pyramid
from networks.cotracker3.network import encode_motion, resample_time
from networks.layers.plain_blocks import plain_norm

GOLDEN = Path(__file__).parents[3] / "golden" / "cotracker3"
TOLERANCE = 2e-5


def close(found, expected, tolerance=TOLERANCE):
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else found
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("variant", ["offline", "online"])
def test_the_state_dict_has_the_public_names_shapes_and_order(variant):
    listed = json.loads((GOLDEN / f"state_dict_{variant}.json").read_text())["state_dict"]
    with torch.device("meta"):
        ours = build_model(f"cotracker3-{variant}").state_dict()
    assert [(name, list(entry.shape)) for name, entry in ours.items()] == [(name, entry["shape"]) for name, entry in listed.items()]
    assert len(ours) == 188


def test_encoder_stages(golden, filled_model):
    expected, encoder = golden("fnet"), filled_model("offline").fnet
    seen = {}
    for name in ("conv1", "layer1", "layer2", "layer3", "layer4", "conv2"):
        getattr(encoder, name).register_forward_hook(lambda _module, _inputs, output, name=name: seen.update({name: output}))
    raw = encoder(torch.from_numpy(expected["frame_u8"])[None].float())
    for name, output in seen.items():
        close(output[0, :2], expected[f"stage_{name}"])
    close(F.instance_norm(seen["conv2"])[0, :2], expected["stage_norm2"])
    close(raw[0, :16], expected["raw_first16"])


def test_feature_pyramid(golden, filled_model):
    expected = golden("fnet")
    features = pyramid(filled_model("offline").fnet(torch.from_numpy(expected["frame_u8"])[None].float()))
    for number, level in enumerate(features.levels):
        close(level[0].permute(2, 0, 1), expected[f"fmap_level{number}"])


@pytest.mark.parametrize("number", range(LEVELS))
def test_correlation_on_every_level(number, golden, filled_model):
    expected = golden("correlation")
    maps = torch.from_numpy(expected["fmaps"])[0]
    levels = [maps]
    while len(levels) < LEVELS:
        levels.append(F.avg_pool2d(levels[-1], 2, 2))
    features = Features(tuple(level.permute(0, 2, 3, 1).contiguous() for level in levels))
    patches = query_patches(features, torch.from_numpy(expected["query_frames"])[0], torch.from_numpy(expected["query_xy"])[0])
    cells = torch.from_numpy(expected["target_xy"])[0].transpose(0, 1) / 2**number  # point-major
    rows = torch.arange(3).expand(3, 3)
    volume = correlate(features.levels[number], rows, patches[number], cells).transpose(0, 1)[None]
    close(volume.unflatten(-1, (PATCH,) * 4), expected[f"level{number}_volume"])
    close(filled_model("offline").corr_mlp(volume), expected[f"level{number}_embed"])
    if number == 0:
        close(patches[0].mT.unflatten(1, (PATCH, PATCH))[None, ..., :8], expected["level0_query_patch_ch8"])
    if f"level{number}_target_patch_ch8" in expected:
        target = sample_patches(features.levels[number], rows.flatten(), cells.flatten(0, 1))
        target = target.view(3, 3, PATCH, PATCH, -1).transpose(0, 1)[None]
        close(target[..., :8], expected[f"level{number}_target_patch_ch8"])


def test_motion_encoding_and_time_embedding(golden, filled_model):
    expected = golden("embeddings")
    close(encode_motion(torch.from_numpy(expected["posenc_in"])), expected["posenc_out"], 1e-6)
    close(filled_model("online").time_emb, expected["time_emb_online"], 1e-6)
    offline = filled_model("offline").time_emb
    close(offline[..., ::7], expected["time_emb_offline_cols7"], 1e-6)
    for length in (1, 8, 70):
        close(resample_time(offline, length)[..., ::7], expected[f"offline_T{length}"], 1e-6)
    assert resample_time(offline, 60) is offline


@pytest.mark.parametrize(("scale", "name"), [(1, "scale_1"), (0.002, "scale_0p002")])
def test_attention_blocks(scale, name, golden, filled_model):
    expected, blocks = golden("attn_blocks"), filled_model("offline").updateformer
    x, context = (scale * torch.from_numpy(expected[side]) for side in ("x", "context"))
    close(blocks.time_blocks[0](x), expected[f"{name}_self"])
    close(blocks.space_virtual2point_blocks[1](x, context), expected[f"{name}_cross"])
    close(blocks.space_virtual_blocks[2].attn(x, x), expected[f"{name}_attn_only"])


def test_plain_norm_has_the_small_epsilon(golden):
    expected = golden("attn_blocks")
    close(plain_norm(0.002 * torch.from_numpy(expected["x"])), expected["layernorm_eps_probe"])


def test_update_transformer_block_by_block(golden, filled_model):
    expected, former = golden("updateformer"), filled_model("offline").updateformer
    steps = {}
    kinds = {"v2p": former.space_virtual2point_blocks, "vself": former.space_virtual_blocks, "p2v": former.space_point2virtual_blocks}
    hooks = [
        block.register_forward_hook(lambda _module, _inputs, output, key=f"after_{kind}{number}": steps.update({key: output}))
        for kind, blocks in kinds.items()
        for number, block in enumerate(blocks)
    ]
    tokens = torch.from_numpy(expected["tokens"])
    points = former.input_transform(tokens)
    close(former(points), expected["out"])
    for hook in hooks:
        hook.remove()
    for key, output in steps.items():
        shown = output if "p2v" in key else output[:, [0, -1]]
        close(shown[None, ..., :128], expected[key])
    assert len(steps) == 9
    close(points[..., :128], expected["after_tokens_in"])
    close(former(points, across_tracks=False), expected["out_no_space_attn"])
