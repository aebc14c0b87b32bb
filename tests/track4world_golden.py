"""Golden vectors of Track4World: weights by formula, and synthetic bundles that are a function of frame and case."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.trajvg_formula_weights import fill_by_formula, formula_weight
from networks.track4world import GeometryBundle, Padding, RawGeometry, bundle_of_backbone

GOLDEN = Path(__file__).parent / "golden" / "track4world"
_CONSTANTS = ("time_emb", "time_emb3d", "image_mean", "image_std")
_NUM_SPECIAL = 5


def arrays(name: str) -> Mapping[str, Tensor]:
    """A file's arrays but its texts."""
    with np.load(GOLDEN / name) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if file[key].dtype.kind != "U"}


def frames_of(io: Mapping[str, Tensor], num_frames: int) -> np.ndarray:
    """The first frames of a file of golden vectors, uint8 "T H W 3"."""
    return io["images"][:num_frames].permute(0, 2, 3, 1).numpy()


def noise(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Normal noise drawn from a name's checksum, float32."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape).astype(np.float32)


def e2e_config(backbone: str) -> dict[str, Any]:
    """Configuration of the golden case from images: the small decoder over a small backbone of this name."""
    table = json.loads((GOLDEN / "e2e_config.json").read_text())
    sizes = json.loads((GOLDEN.parent / "trajvg" / "small_config.json").read_text())
    below = {**sizes, "metric_decoder": {"dec_embed_dim": 64, "depth": 1, "out_dim": 16}}
    return {
        **table["decoder"],
        "corr_radius": table["corr_radius"],
        "seqlen": table["seqlen"],
        "backbone": backbone,
        "backbone_config": below,
    }


def fill(model: nn.Module) -> nn.Module:
    """Weights by formula: the decoder's by their own names, the backbone's by theirs."""
    with torch.no_grad():
        for name, entry in model.state_dict().items():
            if name not in _CONSTANTS and not name.startswith("backbone."):
                entry.copy_(torch.from_numpy(_weight(name, tuple(entry.shape))))
    if model.get_submodule("") is model and getattr(model, "backbone", None) is not None:
        fill_by_formula(model.backbone)
    return model


@dataclass(frozen=True, kw_only=True)
class Case:
    """Images and raw geometry of one golden case."""

    name: str
    io: Mapping[str, Tensor]
    token_width: int

    def images(self, num_frames: int) -> Tensor:
        """Images "1 T 3 H W" in [0, 1]."""
        return self.io["images"][None, :num_frames].float() / 255

    def bundle(self, num_frames: int, padded_frames: int = 0) -> GeometryBundle:
        """Bundle of the first frames, and of copies of the last."""
        padding = Padding(height=self.io["images"].shape[-2], width=self.io["images"].shape[-1])
        index = torch.arange(num_frames + padded_frames).clamp_max(num_frames - 1)
        rows, columns = padding.patch_grid
        shape = (_NUM_SPECIAL + rows * columns, self.token_width)
        base = noise(f"{self.name}/token_base", shape)
        tokens = [np.float32(0.8) * base + np.float32(0.6) * noise(f"{self.name}/token{t}", shape) for t in index.tolist()]
        points, confidence = (
            F.interpolate(self.io[name][index], size=padding.backbone, mode="bilinear", align_corners=False)
            for name in ("points_low", "conf_low")
        )
        raw = RawGeometry(
            tokens=torch.from_numpy(np.stack(tokens))[None],
            num_special=_NUM_SPECIAL,
            patch_grid=padding.patch_grid,
            points=points.permute(0, 2, 3, 1)[None],
            confidence=confidence[None, :, 0],
            camera_poses=self.io["poses"][None, index],
        )
        return bundle_of_backbone(raw, padding)


def _weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("layer_scale"):
        return np.float32(0.5) * (np.float32(1) + np.float32(0.1) * noise(name, shape))
    weight = formula_weight(name, shape)
    if "motion_encoder" in name and name.endswith(".conv.weight"):
        dimensions = 3 if "motion_encoder3d" in name else 2
        waves = np.repeat(2.0 ** -np.arange(10), dimensions)
        damping = np.concatenate([np.ones(dimensions), waves, waves]).astype(np.float32)
        weight[:, -len(damping) :] *= damping[:, None, None]
    factors = {"flow_2d_head.2.weight": 0.15, "flow_visconf_head.2.weight": 0.1, "flow3d_head.head.3.weight": 0.05}
    weight = weight * np.float32(factors.get(name, 1))
    return weight + np.float32(0.15) if name == "flow_visconf_head.2.bias" else weight
