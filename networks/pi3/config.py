"""Sizes of π³, Pi3X and TrajVG, computing options, and checks that the sizes fit each other.

Field names are the public constructors', so that one table describes either.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import ConfigError

TokenLayout = Literal["reference", "clean"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """The image encoder (DINOv2 with registers)."""

    img_size: int = 518  # side in pixels of the images that the position table was made for
    patch_size: int = 14
    embed_dim: int = 1024
    depth: int = 24
    num_heads: int = 16
    mlp_ratio: int = 4
    num_register_tokens: int = 4
    init_values: float = 1.0  # of the branches' scales


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """The alternating decoder: even blocks look within a frame, odd ones across the clip."""

    dim: int = 1024
    depth: int = 36
    num_heads: int = 16
    mlp_ratio: int = 4
    num_register_tokens: int = 5
    rope_freq: float = 100.0
    init_values: float = 0.01  # of the branches' scales
    qk_norm: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerHeadConfig:
    """A transformer on the decoder's features, within each frame."""

    in_dim: int = 2048
    dec_embed_dim: int = 1024
    depth: int = 5
    dec_num_heads: int = 16
    out_dim: int = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvHeadConfig:
    """The convolutional dense head of TrajVG and Pi3X."""

    dim_proj: int = 1024
    dim_upsample: tuple[int, ...] = (256, 128, 64)
    dim_times_res_block_hidden: int = 2
    num_res_blocks: int = 2
    last_res_blocks: int = 0
    last_conv_channels: int = 32
    last_conv_size: int = 1
    using_uv: bool = True
    dim_out: tuple[int, ...] = (2, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraHeadConfig:
    """The pose regressor."""

    dim: int = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackDecoderConfig:
    """From pairs of decoder blocks to the tracker's feature maps."""

    dim_in: int = 2048
    patch_size: int = 14
    features: int = 128
    out_channels: tuple[int, ...] = (256, 512, 1024, 1024)
    intermediate_layer_idx: tuple[int, ...] = (0, 8, 13, 17)  # which pairs
    down_ratio: int = 2
    token_layout: TokenLayout = "reference"  # "reference" as the public weights were trained with; "clean" keeps tokens and channels apart


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackHeadConfig:
    """The 3D tracker."""

    features: int = 128
    iters: int = 4
    stride: int = 2
    corr_levels: int = 4
    hidden_size: int = 384
    k_neighbors: int = 16
    update_depth: int = 6
    update_num_heads: int = 8
    num_virtual_tracks: int = 64
    detach_inputs: bool = True  # losses on tracks leave point maps alone


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricDecoderConfig:
    """Pi3X's decoder of the metric scale."""

    dec_embed_dim: int = 512
    depth: int = 5
    out_dim: int = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputingConfig:
    """Options that change memory and time, not results."""

    gradient_checkpointing: bool = False  # recompute blocks, and dense heads a few frames at a time, in the backward pass
    compile: bool = False  # torch.compile the transformer blocks; each shape of step is served, the first steps take minutes more
    neighbour_mb: float = 256.0  # working memory of the search for neighbours
    frames_at_once: int = 8  # through a convolutional dense head, and through the track decoder

    def __post_init__(self) -> None:
        if not self.neighbour_mb > 0 or self.frames_at_once < 1:
            raise ConfigError(f"computing: neighbour_mb {self.neighbour_mb} and frames_at_once {self.frames_at_once} must be positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """All parts. The defaults are the public checkpoints' sizes. A model ignores the parts that it does not have."""

    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    point_decoder: TransformerHeadConfig = TransformerHeadConfig()  # conf_decoder has the same sizes
    camera_decoder: TransformerHeadConfig = field(default_factory=lambda: TransformerHeadConfig(out_dim=512))
    point_head: ConvHeadConfig = ConvHeadConfig()
    conf_head: ConvHeadConfig = field(default_factory=lambda: ConvHeadConfig(dim_out=(1,)))
    camera_head: CameraHeadConfig = CameraHeadConfig()
    track_decoder: TrackDecoderConfig = TrackDecoderConfig()
    track_head: TrackHeadConfig = TrackHeadConfig()
    metric_decoder: MetricDecoderConfig = MetricDecoderConfig()
    computing: ComputingConfig = ComputingConfig()


def check_sizes(config: ModelConfig, *faults: Callable[[ModelConfig], Iterator[str]]) -> None:
    """Raise ConfigError with all faults that these functions find."""
    found = [fault for find in (negative_sizes, *faults) for fault in find(config)]
    if found:
        raise ConfigError(f"model configuration: {'; '.join(found)}")


def negative_sizes(config: ModelConfig) -> Iterator[str]:
    """Numbers below 0, which no size may be."""
    for section, fields in dataclasses.asdict(config).items():
        for name, value in fields.items():
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(number, int | float) and number < 0 for number in numbers):
                yield f"{section}.{name} is {value}, expected 0 or more"


def backbone_faults(config: ModelConfig) -> Iterator[str]:
    """Misfits of encoder, decoder and transformer heads."""
    encoder, decoder = config.encoder, config.decoder
    if encoder.img_size % encoder.patch_size:
        yield f"encoder.img_size {encoder.img_size} is no multiple of encoder.patch_size {encoder.patch_size}"
    if encoder.embed_dim % encoder.num_heads:
        yield f"encoder.embed_dim {encoder.embed_dim} is no multiple of encoder.num_heads {encoder.num_heads}"
    if decoder.dim != encoder.embed_dim:
        yield f"decoder.dim {decoder.dim} must be encoder.embed_dim {encoder.embed_dim}: nothing projects one to the other"
    if decoder.depth < 2 or decoder.depth % 2:
        yield f"decoder.depth {decoder.depth} must be even and positive: blocks come in pairs"
    yield from _rotary_faults("decoder", decoder.dim, decoder.num_heads)
    for name, head in (("point_decoder", config.point_decoder), ("camera_decoder", config.camera_decoder)):
        yield from _rotary_faults(name, head.dec_embed_dim, head.dec_num_heads)
        if head.in_dim != 2 * decoder.dim:
            yield f"{name}.in_dim {head.in_dim} must be twice decoder.dim {decoder.dim}: it reads a pair of blocks"
    if config.camera_head.dim != config.camera_decoder.out_dim:
        yield f"camera_head.dim {config.camera_head.dim} must be camera_decoder.out_dim {config.camera_decoder.out_dim}"


def _rotary_faults(name: str, width: int, num_heads: int) -> Iterator[str]:
    if width % num_heads or (width // num_heads) % 4:
        yield f"{name}: width {width} over {num_heads} heads must give heads of a multiple of 4 channels, for two rotated halves"


def conv_head_faults(config: ModelConfig) -> Iterator[str]:
    """Misfits of the convolutional and the transformer heads."""
    for name, head, dims in (("point_head", config.point_head, (2, 1)), ("conf_head", config.conf_head, (1,))):
        if head.dim_proj != config.point_decoder.out_dim:
            yield f"{name}.dim_proj {head.dim_proj} must be point_decoder.out_dim {config.point_decoder.out_dim}"
        if tuple(head.dim_out) != dims:
            yield f"{name}.dim_out is {list(head.dim_out)}, expected {list(dims)}"
        if not head.last_conv_size % 2:
            yield f"{name}.last_conv_size {head.last_conv_size} must be odd"


def tracking_faults(config: ModelConfig) -> Iterator[str]:
    """Misfits of track decoder, tracker and decoder."""
    features, head, num_pairs = config.track_decoder, config.track_head, config.decoder.depth // 2
    if features.dim_in != 2 * config.decoder.dim:
        yield f"track_decoder.dim_in {features.dim_in} must be twice decoder.dim {config.decoder.dim}"
    if features.patch_size != config.encoder.patch_size:
        yield f"track_decoder.patch_size {features.patch_size} must be encoder.patch_size {config.encoder.patch_size}"
    if len(features.out_channels) != 4 or len(features.intermediate_layer_idx) != 4:
        yield "track_decoder.out_channels and .intermediate_layer_idx must have four entries, one a level"
    if not all(0 <= pair < num_pairs for pair in features.intermediate_layer_idx):
        yield f"track_decoder.intermediate_layer_idx {list(features.intermediate_layer_idx)}: the decoder has pairs 0 to {num_pairs - 1}"
    if features.features != head.features:
        yield f"track_decoder.features {features.features} must be track_head.features {head.features}"
    if features.down_ratio != head.stride:
        yield f"track_decoder.down_ratio {features.down_ratio} must be track_head.stride {head.stride}"
    if head.hidden_size % head.update_num_heads:
        yield f"track_head.hidden_size {head.hidden_size} is no multiple of track_head.update_num_heads {head.update_num_heads}"
    if min(head.iters, head.corr_levels, head.k_neighbors, head.update_depth) < 1:
        yield "track_head.iters, .corr_levels, .k_neighbors and .update_depth must be positive"
