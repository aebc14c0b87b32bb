"""Every stage from images to points and poses, each fed with the reference's own input."""

import pytest
import torch

from networks.layers.blocks import rotary_angles, rotate, token_positions
from networks.pi3.geometry import decode_points
from networks.pi3.heads import rows_to_rotation, uv_grid
from networks.trajvg.trajvg import TrackDecoder

GRID = (4, 5)


@pytest.fixture
def angles(stages):
    return rotary_angles(stages["dec_pos"][0], head_size=64, frequency=100.0)


def test_encoder(trajvg, io, stages, close):
    images = (io["imgs"][0] - trajvg.image_mean) / trajvg.image_std
    tokens = trajvg.encoder.all_tokens(images)
    close(tokens[:, 0], stages["enc_cls"])
    close(tokens[:, 1:5], stages["enc_reg"])
    close(trajvg.encoder(images), stages["enc_patch"])


def test_position_table(trajvg, stages, close):
    close(trajvg.encoder.positions(*GRID), stages["enc_pos_embed_4x5"], 1e-6)


def test_positions(stages, close):
    close(token_positions(*GRID, num_registers=5, device=torch.device("cpu")), stages["dec_pos"][0], 0)


def test_rotary(stages, close):
    angles = rotary_angles(stages["rope_pos"][0], head_size=16, frequency=100.0)
    close(rotate(stages["rope_tokens"], angles), stages["rope_out"], 1e-6)


def test_decoder(trajvg, stages, angles, close):
    registers = trajvg.register_token[0].expand(3, -1, -1)
    decoded = trajvg.decoder(torch.cat([registers, stages["enc_patch"]], dim=1), angles, 3, (0, 1, 2, 3))
    close(decoded.last, stages["dec_hidden"])
    for index, pair in enumerate(decoded.pairs):
        close(pair, stages[f"dec_pair{index}"].flatten(2).unflatten(2, (25, 384))[0])


@pytest.mark.parametrize("name", ["point_decoder", "conf_decoder", "camera_decoder"])
def test_transformer_heads(trajvg, stages, name, angles, close):
    close(getattr(trajvg, name)(stages["dec_hidden"], angles), stages[f"{name}_out"])


def test_convolutional_heads(trajvg, stages, close):
    xy, log_depth = trajvg.point_head(stages["point_decoder_out"][:, 5:], GRID)
    close(xy, stages["point_head_xy"])
    close(log_depth, stages["point_head_logz"])
    close(trajvg.conf_head(stages["conf_decoder_out"][:, 5:], GRID)[0], stages["conf_head_out"])


def test_uv_grid(stages, close):
    close(uv_grid(5, 4, aspect=float(stages["uv_w5_h4_aspect"])), stages["uv_w5_h4"], 1e-6)


def test_linear_heads(pi3, stages, close):
    raw = pi3.point_head(stages["point_decoder_out"][:, 5:], GRID).permute(0, 2, 3, 1)
    close(raw[None], stages["pi3_head_raw"])
    points, expected = decode_points(raw[..., :2], raw[..., 2:])[None], stages["pi3_local_points"]
    assert float(((points - expected).abs() / expected[..., 2:]).max()) < 1e-4
    close(pi3.conf_head(stages["conf_decoder_out"][:, 5:], GRID).permute(0, 2, 3, 1)[None], stages["pi3_conf"])


def test_camera_head(trajvg, stages, close):
    close(trajvg.camera_head(stages["camera_decoder_out"][:, 5:]), stages["camera_head_out"], 2e-6)


def test_rotations(stages, close):
    close(rows_to_rotation(stages["svd_in"]), stages["svd_out"], 2e-6)


@pytest.mark.parametrize("frames_at_once", [8, 2])
def test_track_decoder(trajvg, stages, frames_at_once, close):
    pairs = [stages[f"dec_pair{index}"].flatten(2).unflatten(2, (25, 384))[0] for index in range(4)]
    decoder = TrackDecoder(trajvg.config.track_decoder, num_registers=5, frames_at_once=frames_at_once)
    decoder.load_state_dict(trajvg.track_decoder.state_dict())
    close(decoder(pairs, GRID)[None], stages["track_decoder_out"])
