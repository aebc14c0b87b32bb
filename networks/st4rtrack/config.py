"""Sizes of DUSt3R, MASt3R and St4RTrack. Field names are the public constructors', so that one table describes either."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.errors import ConfigError

HeadType = Literal["dpt", "linear"]
NUM_LEVELS = 4  # of the DPT head
_HEAD_SIZE = 64  # channels of an attention head, in all public files


@dataclass(frozen=True, kw_only=True, slots=True)
class TwinComputing:
    """Options that change memory and time, not results."""

    gradient_checkpointing: bool = False  # recompute blocks in the backward pass


@dataclass(frozen=True, kw_only=True, slots=True)
class TwinConfig:
    """All parts. The defaults are the public checkpoints' sizes (ViT-L encoder, ViT-B decoders)."""

    enc_embed_dim: int = 1024
    enc_depth: int = 24
    enc_num_heads: int = 16
    dec_embed_dim: int = 768
    dec_depth: int = 12
    dec_num_heads: int = 12
    patch_size: int = 16
    mlp_ratio: int = 4
    rope_base: float = 100.0
    input_channels: int = 3  # public weights have 3; more let a tiny model be given what pretraining would have taught a large one
    head_type: HeadType = "dpt"  # St4RTrack and MASt3R have DPT heads alone
    hooks: tuple[int, ...] | None = None  # list entries that the DPT reads; None: 0, depth/2, 3 depth/4, depth
    dpt_feature_dim: int = 256
    dpt_last_dim: int = 128
    dpt_layer_dims: tuple[int, ...] = (96, 192, 384, 768)
    local_feat_dim: int = 24  # channels of MASt3R's descriptors
    computing: TwinComputing = TwinComputing()

    def __post_init__(self) -> None:
        found = list(self._faults())
        if found:
            raise ConfigError(f"model configuration: {'; '.join(found)}")

    @property
    def dpt_hooks(self) -> tuple[int, ...]:
        """Entries of a branch's token list that the DPT reads: 0 is the encoder, k the state after block k."""
        return (0, self.dec_depth * 2 // 4, self.dec_depth * 3 // 4, self.dec_depth) if self.hooks is None else self.hooks

    def _faults(self) -> Iterator[str]:
        for name in ("enc_depth", "dec_depth", "patch_size", "mlp_ratio", "input_channels", "dpt_last_dim", "local_feat_dim"):
            if getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}, expected 1 or more"
        for part, width, heads in (
            ("enc", self.enc_embed_dim, self.enc_num_heads),
            ("dec", self.dec_embed_dim, self.dec_num_heads),
        ):
            if heads < 1 or width < 1 or width % heads or (width // heads) % 4:
                yield f"{part}_embed_dim {width} over {heads} heads must give heads of a multiple of 4 channels, for two rotated halves"
        if self.dpt_feature_dim < 2 or self.dpt_feature_dim % 2:
            yield f"dpt_feature_dim {self.dpt_feature_dim} must be even and positive"
        if len(self.dpt_layer_dims) != NUM_LEVELS or min(self.dpt_layer_dims, default=0) < 1:
            yield f"dpt_layer_dims {list(self.dpt_layer_dims)}: expected {NUM_LEVELS} positive numbers"
        hooks = self.dpt_hooks
        if len(hooks) != NUM_LEVELS or list(hooks) != sorted(set(hooks)) or hooks[0] != 0 or hooks[-1] > self.dec_depth:
            yield f"hooks {list(hooks)}: expected 0 (the encoder) and three rising numbers up to dec_depth {self.dec_depth}"


def config_of_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Sizes of a twin network from its entries' shapes, as `build_model` takes them; attention heads have 64 channels.

    Args:
        shapes: by public names. What is not there keeps its default, and is missed when the weights are loaded.
    """
    found: dict[str, Any] = {}
    if len(patches := shapes.get("patch_embed.proj.weight", ())) == 4:
        found |= {"enc_embed_dim": patches[0], "input_channels": patches[1], "patch_size": patches[2]}
        found["enc_num_heads"] = max(1, patches[0] // _HEAD_SIZE)
    if len(embedding := shapes.get("decoder_embed.weight", ())) == 2:
        found |= {"dec_embed_dim": embedding[0], "dec_num_heads": max(1, embedding[0] // _HEAD_SIZE)}
    for name, prefix in (("enc_depth", "enc_blocks."), ("dec_depth", "dec_blocks.")):
        numbers = {key.split(".")[1] for key in shapes if key.startswith(prefix)}
        found[name] = max(1, len(numbers))
    if "downstream_head1.proj.weight" in shapes:
        return {**found, "head_type": "linear"}
    dpt = "downstream_head1.dpt."
    if len(last := shapes.get(f"{dpt}head.2.weight", ())) == 4:
        found |= {"dpt_feature_dim": 2 * last[1], "dpt_last_dim": last[0]}
    levels = [shapes.get(f"{dpt}act_postprocess.{level}.0.weight", ()) for level in range(NUM_LEVELS)]
    if all(levels):
        found["dpt_layer_dims"] = tuple(level[0] for level in levels)
    return found
