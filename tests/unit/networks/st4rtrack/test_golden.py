"""Every stage and every output against the public code's."""

import pytest
import torch

from networks.layers.blocks import rotary_angles, rotate
from networks.st4rtrack.output import decode_confidence, decode_points
from networks.st4rtrack.transformer import tokens_to_map

TOLERANCE = 4e-5


@pytest.fixture(scope="module")
def encoded(st4rtrack, io):
    return st4rtrack.encode(io["L_img1"]), st4rtrack.encode(io["L_img2"])


@pytest.fixture(scope="module")
def token_lists(st4rtrack, encoded):
    return st4rtrack.decode_tokens(*encoded)


def test_rotary_positions(stages, close):
    tokens, positions = stages["rope_in"], stages["rope_pos"].reshape(-1, 2)
    angles = rotary_angles(positions, head_size=tokens.shape[-1], frequency=100.0)
    close(rotate(tokens, angles), stages["rope_out"], 5e-6)


def test_encoder(st4rtrack, io, encoded, stages, close):
    for view in (1, 2):
        close(st4rtrack.patch_embed(io[f"L_img{view}"]), stages[f"patch_{view}"], TOLERANCE)
        close(encoded[view - 1].tokens, stages[f"enc_{view}"], TOLERANCE)
        close(st4rtrack.decoder_embed(encoded[view - 1].tokens), stages[f"dec_embed_{view}"], TOLERANCE)


def test_twin_decoder_block_by_block(st4rtrack, token_lists, stages, close):
    for branch, tokens in enumerate(token_lists, start=1):
        assert len(tokens) == 13
        for block in range(1, 12):
            close(tokens[block], stages[f"dec{branch}_{block}"], TOLERANCE)
        close(tokens[12], st4rtrack.dec_norm(stages[f"dec{branch}_12"]), TOLERANCE)
        close(tokens[12], stages[f"dec_norm_{branch}"], TOLERANCE)


def test_dpt_level_by_level(st4rtrack, token_lists, stages, close):
    dpt, grid = st4rtrack.downstream_head1.dpt, (3, 4)
    tokens = [token_lists[0][hook][:1] for hook in dpt.hooks]
    levels = [adapt(tokens_to_map(entry, grid)) for adapt, entry in zip(dpt.act_postprocess, tokens, strict=True)]
    thin = [layer(level) for layer, level in zip(dpt.scratch.layer_rn, levels, strict=True)]
    for number, (level, narrow) in enumerate(zip(levels, thin, strict=True), start=1):
        close(level, stages[f"h1_act{number}"], TOLERANCE)
        close(narrow, stages[f"h1_rn{number}"], TOLERANCE)
    path = dpt.scratch.refinenet4(thin[3])
    close(path, stages["h1_path4"], TOLERANCE)
    path = dpt.scratch.refinenet3(path[..., :3, :4], thin[2])
    close(path, stages["h1_path3"], TOLERANCE)
    path = dpt.scratch.refinenet2(path, thin[1])
    close(path, stages["h1_path2"], TOLERANCE)
    close(dpt.scratch.refinenet1(path, thin[0]), stages["h1_path1"], TOLERANCE)


def test_raw_numbers_and_activations(st4rtrack, token_lists, io, close):
    for view, head in ((1, st4rtrack.downstream_head1), (2, st4rtrack.downstream_head2)):
        raw = head.dpt(token_lists[view - 1], (3, 4))
        close(raw, io[f"raw_{view}"], TOLERANCE)
        last = io[f"raw_{view}"].permute(0, 2, 3, 1)
        close(decode_points(last[..., :3]), io[f"L_pts3d_{view}"], TOLERANCE)
        close(decode_confidence(last[..., 3]), io[f"L_conf_{view}"], TOLERANCE)


@pytest.mark.parametrize("case", ["L", "P", "Q", "X"])  # a batch, portrait, another grid, images of two sizes
def test_outputs(case, st4rtrack, io, close):
    output = st4rtrack(io[f"{case}_img1"], io[f"{case}_img2"])
    for view in (1, 2):
        close(getattr(output, f"point_map_{view}"), io[f"{case}_pts3d_{view}"], TOLERANCE)
        close(getattr(output, f"confidence_{view}"), io[f"{case}_conf_{view}"], TOLERANCE)


def test_a_batch_of_a_pair_and_its_reverse(st4rtrack, io, close):
    one, two = io["L_img1"][:1], io["L_img2"][:1]
    output = st4rtrack(torch.cat([one, two]), torch.cat([two, one]))
    for view in (1, 2):
        expected = torch.cat([io[f"L_pts3d_{view}"][:1], io[f"S_pts3d_{view}"].reshape(1, 48, 64, 3)])
        close(getattr(output, f"point_map_{view}"), expected, TOLERANCE)


def test_an_image_may_be_encoded_once_for_many_pairs(st4rtrack, io, close):
    images = torch.cat([io["L_img1"][:1], io["L_img2"]])
    encoded = st4rtrack.encode(images)
    output = st4rtrack.decode(encoded[[0, 0]], encoded[[1, 2]])
    close(output.point_map_2, st4rtrack(images[[0, 0]], images[[1, 2]]).point_map_2, 1e-5)


def test_descriptors_of_mast3r(twin, io, close):
    output = twin["mast3r"](io["L_img1"][:1], io["L_img2"][:1])
    close(output.point_map_1, io["L_pts3d_1"][:1], TOLERANCE)
    for view in (1, 2):
        close(getattr(output, f"descriptors_{view}")[:, ::2, ::3].squeeze(), io[f"M_desc_{view}"].squeeze(), 1e-5)
        close(getattr(output, f"descriptor_confidence_{view}").squeeze(), io[f"M_desc_conf_{view}"].squeeze(), 2e-4)


def test_linear_heads_of_dust3r(twin, io, close):
    output = twin["linear"](io["L_img1"][:1], io["L_img2"][:1])
    close(output.point_map_1[:, ::2, ::3].squeeze(), io["lin_pts3d_1"].squeeze(), 2e-4)
    close(output.confidence_1[:, ::2, ::3].squeeze(), io["lin_conf_1"].squeeze(), 2e-4)
    close(output.point_map_2[:, ::2, ::3].squeeze(), io["lin_pts3d_2"].squeeze(), 2e-4)


def test_bfloat16_leaves_the_heads_in_float32(st4rtrack, io):
    with torch.autocast("cpu", torch.bfloat16):
        encoded = st4rtrack.encode(io["L_img1"]), st4rtrack.encode(io["L_img2"])
        token_lists = st4rtrack.decode_tokens(*encoded)
        output = st4rtrack.decode(*encoded)
    assert {tokens[6].dtype for tokens in token_lists} == {torch.bfloat16}
    assert float((output.point_map_1 - io["L_pts3d_1"]).abs().mean()) < 0.05
    assert not torch.equal(output.point_map_1, st4rtrack(io["L_img1"], io["L_img2"]).point_map_1)
    for head, tokens, points in (
        (st4rtrack.downstream_head1, token_lists[0], output.point_map_1),
        (st4rtrack.downstream_head2, token_lists[1], output.point_map_2),
    ):
        assert points.dtype == torch.float32
        alone = head([entry.float() for entry in tokens], (3, 4)).point_map  # without autocast
        torch.testing.assert_close(points, alone, rtol=0, atol=0)
