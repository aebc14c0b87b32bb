"""Sizes of the smallest network that has all parts."""

from typing import Any

_DENSE = {"dim_proj": 16, "dim_upsample": [8, 8, 8], "last_conv_channels": 4}
TINY: dict[str, Any] = {
    "encoder": {"img_size": 56, "embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2},
    "decoder": {"dim": 16, "depth": 4, "num_heads": 2, "mlp_ratio": 2, "init_values": 0.3},
    "point_decoder": {"in_dim": 32, "dec_embed_dim": 16, "depth": 1, "dec_num_heads": 2, "out_dim": 16},
    "camera_decoder": {"in_dim": 32, "dec_embed_dim": 16, "depth": 1, "dec_num_heads": 2, "out_dim": 8},
    "point_head": _DENSE,
    "conf_head": {**_DENSE, "dim_out": [1]},
    "camera_head": {"dim": 8},
    "track_decoder": {"dim_in": 32, "features": 8, "out_channels": [4, 4, 8, 8], "intermediate_layer_idx": [0, 0, 1, 1]},
    "track_head": {
        **{"features": 8, "iters": 2, "corr_levels": 2, "hidden_size": 16, "k_neighbors": 4},
        **{"update_depth": 1, "update_num_heads": 2, "num_virtual_tracks": 4},
    },
}
