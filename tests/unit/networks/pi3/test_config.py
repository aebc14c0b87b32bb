"""Sizes as tables."""

import pytest
import torch

from networks import build_model
from networks.pi3 import ModelConfig
from networks.pi3.pi3 import Pi3
from pipeline.errors import ConfigError


def test_nothing_given_is_full_size():
    assert Pi3.parse_config(None) == Pi3.parse_config({}) == ModelConfig()
    assert (ModelConfig().decoder.depth, ModelConfig().camera_decoder.out_dim, ModelConfig().conf_head.dim_out) == (36, 512, (1,))


def test_what_a_section_leaves_out_has_the_sections_own_default():
    config = Pi3.parse_config({"camera_decoder": {"depth": 2}, "conf_head": {"dim_proj": 8}, "_note": "a remark"})
    assert (config.camera_decoder.depth, config.camera_decoder.out_dim, config.conf_head.dim_out) == (2, 512, (1,))


def test_a_table_and_back(small_config):
    config = Pi3.parse_config(small_config)
    assert config.track_decoder.out_channels == (24, 32, 48, 64)
    assert config.encoder.init_values == 1.0
    with torch.device("meta"):
        sizes = Pi3(config).sizes()
    assert Pi3.parse_config(sizes) == config
    assert "computing" not in sizes
    for section in ("encoder", "decoder", "point_decoder", "point_head", "conf_head", "track_head"):
        assert {key: sizes[section][key] for key in small_config[section]} == small_config[section]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"encodr": {}}, "model has no encodr; it has encoder, decoder"),
        ({"encoder": 3}, "model.encoder is 3, expected a table of img_size"),
        ({"encoder": {"width": 3}}, "model.encoder has no width; it has img_size"),
        ({"encoder": {"depth": 2.5}}, "model.encoder.depth is 2.5, expected a whole number"),
        ({"encoder": {"depth": True}}, "encoder.depth is True"),
        ({"encoder": {"depth": -2}}, "encoder.depth is -2, expected 0 or more"),
        ({"point_head": {"dim_upsample": [8, 8.5, 8]}}, "point_head.dim_upsample.1 is 8.5, expected a whole number"),
        ({"decoder": {"qk_norm": 1}}, "decoder.qk_norm is 1"),
        ({"point_head": {"dim_out": 2}}, "point_head.dim_out is 2, expected a list"),
        ({"computing": {"neighbour_mb": 0}}, "neighbour_mb 0.0"),
        ({"decoder": {"dim": 768}}, "decoder.dim 768 must be encoder.embed_dim 1024"),
        ({"decoder": {"depth": 35}}, "decoder.depth 35 must be even"),
        ({"decoder": {"num_heads": 512}}, "heads of a multiple of 4 channels"),
        ({"point_decoder": {"in_dim": 1024}}, "point_decoder.in_dim 1024 must be twice decoder.dim 1024"),
        ({"camera_head": {"dim": 256}}, "camera_head.dim 256 must be camera_decoder.out_dim 512"),
        ({"point_head": {"dim_out": [3]}}, r"point_head.dim_out is \[3\], expected \[2, 1\]"),
        ({"track_decoder": {"intermediate_layer_idx": [0, 8, 13, 18]}}, "the decoder has pairs 0 to 17"),
        ({"track_decoder": {"token_layout": "tidy"}}, "expected one of reference, clean"),
        ({"track_decoder": {"features": 64}}, "track_decoder.features 64 must be track_head.features 128"),
        ({"track_head": {"stride": 4}}, "track_decoder.down_ratio 2 must be track_head.stride 4"),
        ({"track_head": {"iters": 0}}, "must be positive"),
    ],
)
def test_what_does_not_fit_is_refused(table, message):
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        build_model("trajvg", table)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError, match=r"decoder.depth 3 .*; camera_head.dim 8 "):
        build_model("pi3", {"decoder": {"depth": 3}, "camera_head": {"dim": 8}})
