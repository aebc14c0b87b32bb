"""Sizes as tables."""

import pytest
import torch

from pipeline.errors import ConfigError
from trainer.models import build_model
from trainer.models.config import ModelConfig
from trainer.models.config_parsing import config_table, parse_config


def test_nothing_given_is_full_size():
    assert parse_config(None) == parse_config({}) == ModelConfig()
    assert (ModelConfig().decoder.depth, ModelConfig().camera_decoder.out_dim, ModelConfig().conf_head.dim_out) == (36, 512, (1,))


def test_a_table_and_back(small_config):
    config = parse_config(small_config)
    assert config.track_decoder.out_channels == (24, 32, 48, 64)
    assert config.encoder.init_values == 1.0
    assert parse_config(config_table(config)) == config
    for section in ("encoder", "decoder", "point_decoder", "point_head", "conf_head", "track_head"):
        table = config_table(config)[section]
        assert {key: table[key] for key in small_config[section]} == small_config[section]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"encodr": {}}, "unknown section encodr; there are encoder, decoder"),
        ({"encoder": 3}, "encoder is 3, expected a table of its fields"),
        ({"encoder": {"width": 3}}, "encoder has no width; it has img_size"),
        ({"encoder": {"depth": 2.5}}, "encoder.depth is 2.5, expected a value like 24"),
        ({"encoder": {"depth": True}}, "encoder.depth is True"),
        ({"decoder": {"qk_norm": 1}}, "decoder.qk_norm is 1"),
        ({"point_head": {"dim_out": 2}}, "point_head.dim_out is 2, expected a list of whole numbers"),
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
