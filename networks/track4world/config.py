"""Sizes of Track4World's decoder and of the backbone below it, and their reading from a public file's shapes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from networks.pi3.config import ModelConfig
from pipeline.errors import ConfigError

BackboneName = Literal["pi3x", "trajvg", "none"]
STRIDE = 8  # pixels from one anchor to the next
TEMPORAL_HEADS = 8  # of the attention between targets, at every width
_PUBLIC_RADIUS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowComputing:
    """Options that change memory and time, not results."""

    gradient_checkpointing: bool = False  # recompute aggregators and correlations in the backward pass
    correlation_mb: float = 256.0  # working memory of a correlation volume's part
    frames_at_once: int = 8  # through the context encoder, where no gradient is asked for

    def __post_init__(self) -> None:
        if not self.correlation_mb > 0 or self.frames_at_once < 1:
            raise ConfigError(f"computing: correlation_mb {self.correlation_mb} and frames_at_once {self.frames_at_once} must be positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class Track4WorldConfig:
    """All parts. The defaults are the sizes of the public file with Pi3X; that with Depth-Anything-3 has flow3d_dim 256, flow_depth 4."""

    backbone: BackboneName = "pi3x"  # none: geometry comes from elsewhere, as a bundle
    backbone_config: ModelConfig = ModelConfig()
    flow_dim: int = 128  # D: geometry features, state of the 2D flow
    flow3d_dim: int = 512  # D3: detail features, state of the 3D flow
    flow_depth: int = 8  # blocks of the aggregator of geometry features
    depth3d: int = 4  # of that of detail features
    heads: int = 16  # of both
    ctx: tuple[int, ...] = (96, 192, 384)  # widths of the context encoder
    ctx_depth: tuple[int, ...] = (3, 3, 9)
    ctx_dim: int = 128  # context features
    hdim: int = 128  # inner width of both updates
    n2d: int = 3  # (temporal, spatial) pairs of blocks of the 2D update
    n3d: int = 2  # of the 3D update
    levels: int = 5  # of the correlation
    corr_radius: int = 4  # anchors
    dim_feature: int = 1024  # C, of the backbone's tokens
    seqlen: int = 16  # rows of the time table, targets of a window
    layer_scale: float = 1e-6  # start of the refinement blocks' scales; the public one teaches a tiny model very slowly
    lifting_prior: bool = True  # the 3D head sees how the target's points move under the 2D step; False: zeros, for ablations
    computing: FlowComputing = FlowComputing()

    def __post_init__(self) -> None:
        found = list(self._faults())
        if found:
            raise ConfigError(f"model configuration: {'; '.join(found)}")

    @property
    def correlation_channels(self) -> int:
        """Channels of one volume's lookup: all offsets of all levels."""
        return self.levels * (2 * self.corr_radius + 1) ** 2

    @property
    def smallest_side(self) -> int:
        """Pixels: images with a shorter side have too few anchors for the coarsest level of the correlation."""
        blocks = -(-STRIDE * 2 ** (self.levels - 1) // 64)
        return (blocks - 1) * 64 + 1

    def _faults(self) -> Iterator[str]:
        for name in ("flow_dim", "flow3d_dim", "heads", "ctx_dim", "hdim", "levels", "corr_radius", "dim_feature"):
            if getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}, expected 1 or more"
        for name in ("flow_depth", "depth3d", "n2d", "n3d"):
            if getattr(self, name) < 0:
                yield f"{name} is {getattr(self, name)}, expected 0 or more"
        for name in ("flow_dim", "flow3d_dim"):
            if self.heads > 0 and (getattr(self, name) % self.heads or getattr(self, name) // self.heads % 4):
                yield f"{name} {getattr(self, name)} over {self.heads} heads must give heads of a multiple of 4 channels"
        for name in ("flow_dim", "ctx_dim", "flow3d_dim", "hdim"):
            if getattr(self, name) % 2:
                yield f"{name} {getattr(self, name)} must be even"
        if self.hdim % TEMPORAL_HEADS:
            yield f"hdim {self.hdim} is no multiple of the {TEMPORAL_HEADS} heads between targets"
        if len(self.ctx) != 3 or len(self.ctx_depth) != 3 or min(self.ctx, default=0) < 1 or min(self.ctx_depth, default=-1) < 0:
            yield f"ctx {list(self.ctx)} and ctx_depth {list(self.ctx_depth)}: expected three widths and three depths"
        if self.seqlen < 2:
            yield f"seqlen is {self.seqlen}, expected 2 or more: a single target has row 1"
        if self.backbone != "none" and self.dim_feature != self.backbone_config.decoder.dim:
            yield f"dim_feature {self.dim_feature} must be backbone_config.decoder.dim {self.backbone_config.decoder.dim}"


def config_of_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Sizes from the shapes of a public file's entries, as `build_model` takes them.

    Radius and heads leave no trace in shapes: they are the public ones. A backbone that is not one of ours, such as Depth-Anything-3,
    is left out: "none". What is not there keeps its default, and is missed when the weights are loaded.
    """
    found: dict[str, Any] = {"backbone": "none"}
    if "backbone.track_head.tracker.fmap_norm.weight" in shapes:
        found["backbone"] = "trajvg"
    elif "backbone.metric_token" in shapes:
        found["backbone"] = "pi3x"
    places = {
        ("flow_dim", 0): "dot_fc1.weight",
        ("dim_feature", 1): "dot_fc1.weight",
        ("flow3d_dim", 0): "dot_fc2.weight",
        ("ctx_dim", 0): "dot_conv.weight",
        ("hdim", 0): "flow_update_block.compressor.weight",
        ("seqlen", 1): "time_emb",
    }
    found |= {key: shapes[name][axis] for (key, axis), name in places.items() if len(shapes.get(name, ())) > axis}
    for key, prefix in (("flow_depth", "flow_aggregator.global_blocks."), ("depth3d", "flow_aggregator3d.global_blocks.")):
        found[key] = _count(shapes, prefix)
    for key, prefix in (("n2d", "flow_update_block.refine."), ("n3d", "flow3d_head.refine.")):
        found[key] = _count(shapes, prefix) // 2
    widths = [shapes.get(f"ctx_encoder.features.{part}.weight", ()) for part in ("0.0", "2.1", "4.1")]
    if all(widths):
        found["ctx"] = tuple(width[0] for width in widths)
        found["ctx_depth"] = tuple(_count(shapes, f"ctx_encoder.features.{stage}.") for stage in (1, 3, 5))
    if len(lookup := shapes.get("flow_update_block.motion_encoder2d.convc1.weight", ())) == 4:
        found["levels"] = max(1, lookup[1] // (2 * _PUBLIC_RADIUS + 1) ** 2)
    return found


def _count(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    return len({match[1] for name in shapes if (match := re.match(re.escape(prefix) + r"(\d+)\.", name))})
