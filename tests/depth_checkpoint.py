"""A depth estimator of `transformers`, tiny and of random weights, saved as published ones are."""

import json
from pathlib import Path

import pytest

SIDE = 28  # pixels at which it sees frames


def write_depth_checkpoint(folder: Path, *, depth_type: str = "metric") -> Path:
    """Depth Anything with two narrow layers; weights large enough that the picture shows in the depth. Skips without transformers."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'trackmill[depth]'")
    import torch

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE, "patch_size": 14}
    backbone = transformers.Dinov2Config(**sizes, out_features=["stage1", "stage2"], reshape_hidden_states=False)
    neck = {"reassemble_hidden_size": 16, "reassemble_factors": [1, 0.5], "neck_hidden_sizes": [8, 8], "fusion_hidden_size": 8}
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, **neck, head_hidden_size=8, depth_estimation_type=depth_type, max_depth=20
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = transformers.DepthAnythingForDepthEstimation(config)
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(folder)
    values = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "rescale_factor": 1 / 255, "do_normalize": True}
    shape = {"size": {"height": SIDE, "width": SIDE}, "keep_aspect_ratio": True, "ensure_multiple_of": 14, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(values | shape))
    return folder
