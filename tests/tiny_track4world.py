"""Tiny Track4World over a tiny Pi3X, as files."""

from pathlib import Path
from typing import Any

import torch

from networks import build_model
from networks.weights import save_weights
from tests.tiny_network import TINY

DECODER: dict[str, Any] = {
    **{"flow_dim": 16, "flow3d_dim": 16, "flow_depth": 1, "depth3d": 1, "heads": 2, "ctx": [8, 8, 16], "ctx_depth": [1, 1, 1]},
    **{"ctx_dim": 16, "hdim": 16, "n2d": 1, "n3d": 1, "levels": 3, "corr_radius": 2, "seqlen": 4, "dim_feature": 16, "layer_scale": 0.1},
}
BACKBONE: dict[str, Any] = {**TINY, "metric_decoder": {"dec_embed_dim": 16, "depth": 1, "out_dim": 16}}


def save_still(path: Path, *, confidence: float | None = None, **changes: Any) -> Path:
    """A network whose 2D and 3D flow is 0, and whose pixels are all visible: fresh weights, last layers of the heads set.

    Args:
        confidence: logit of every pixel's validity; None: as drawn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model("track4world", {**DECODER, "backbone": "pi3x", "backbone_config": BACKBONE, **changes})
    with torch.no_grad():
        for layer, bias in ((model.flow_2d_head[2], 0.0), (model.flow_visconf_head[2], 1.0), (model.flow3d_head.head[3], 0.0)):
            layer.weight.zero_()
            layer.bias.fill_(bias)
        if confidence is not None and model.backbone is not None:
            last = [module for module in model.backbone.conf_head.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)][-1]
            last.weight.zero_()
            last.bias.fill_(confidence)
    save_weights(str(path), model)
    return path
