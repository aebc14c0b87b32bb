"""Sizes of π³, Pi3X and TrajVG, and how they compute. Field names are the public constructors', so that one table describes either."""

from dataclasses import dataclass, field

from pipeline.errors import ConfigError

LAYOUTS = ("reference", "clean")


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
    """From pairs of decoder blocks to the feature maps that the tracker looks at."""

    dim_in: int = 2048
    patch_size: int = 14
    features: int = 128
    out_channels: tuple[int, ...] = (256, 512, 1024, 1024)
    intermediate_layer_idx: tuple[int, ...] = (0, 8, 13, 17)  # which pairs
    down_ratio: int = 2
    token_layout: str = "reference"  # "reference" as the public weights were trained with; "clean" keeps tokens and channels apart


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
    """What changes memory and time, not results."""

    gradient_checkpointing: bool = False  # recompute blocks in the backward pass
    neighbour_mb: float = 256.0  # working memory of the search for neighbours
    frames_at_once: int = 8  # through the track decoder

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
