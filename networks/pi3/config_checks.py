"""Which sizes fit together, checked before anything is built."""

import dataclasses
from collections.abc import Callable, Iterator

from networks.pi3.config import LAYOUTS, ModelConfig
from pipeline.errors import ConfigError


def check_sizes(config: ModelConfig, *faults: Callable[[ModelConfig], Iterator[str]]) -> None:
    """Raise ConfigError with all that these find."""
    found = [fault for find in (negative_sizes, *faults) for fault in find(config)]
    if found:
        raise ConfigError(f"model configuration: {'; '.join(found)}")


def negative_sizes(config: ModelConfig) -> Iterator[str]:
    """Numbers below 0, none of which means anything here."""
    for section, fields in dataclasses.asdict(config).items():
        for name, value in fields.items():
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(number, int | float) and number < 0 for number in numbers):
                yield f"{section}.{name} is {value}, expected 0 or more"


def backbone_faults(config: ModelConfig) -> Iterator[str]:
    """Where encoder, decoder and transformer heads do not fit each other."""
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
    """Where the convolutional heads do not fit the transformer heads."""
    for name, head, dims in (("point_head", config.point_head, (2, 1)), ("conf_head", config.conf_head, (1,))):
        if head.dim_proj != config.point_decoder.out_dim:
            yield f"{name}.dim_proj {head.dim_proj} must be point_decoder.out_dim {config.point_decoder.out_dim}"
        if tuple(head.dim_out) != dims:
            yield f"{name}.dim_out is {list(head.dim_out)}, expected {list(dims)}"
        if not head.last_conv_size % 2:
            yield f"{name}.last_conv_size {head.last_conv_size} must be odd"


def tracking_faults(config: ModelConfig) -> Iterator[str]:
    """Where track decoder and tracker do not fit the decoder or each other."""
    features, head, num_pairs = config.track_decoder, config.track_head, config.decoder.depth // 2
    if features.dim_in != 2 * config.decoder.dim:
        yield f"track_decoder.dim_in {features.dim_in} must be twice decoder.dim {config.decoder.dim}"
    if features.patch_size != config.encoder.patch_size:
        yield f"track_decoder.patch_size {features.patch_size} must be encoder.patch_size {config.encoder.patch_size}"
    if len(features.out_channels) != 4 or len(features.intermediate_layer_idx) != 4:
        yield "track_decoder.out_channels and .intermediate_layer_idx must have four entries, one a level"
    if not all(0 <= pair < num_pairs for pair in features.intermediate_layer_idx):
        yield f"track_decoder.intermediate_layer_idx {list(features.intermediate_layer_idx)}: the decoder has pairs 0 to {num_pairs - 1}"
    if features.token_layout not in LAYOUTS:
        yield f"track_decoder.token_layout is {features.token_layout!r}, expected one of {', '.join(LAYOUTS)}"
    if features.features != head.features:
        yield f"track_decoder.features {features.features} must be track_head.features {head.features}"
    if features.down_ratio != head.stride:
        yield f"track_decoder.down_ratio {features.down_ratio} must be track_head.stride {head.stride}"
    if head.hidden_size % head.update_num_heads:
        yield f"track_head.hidden_size {head.hidden_size} is no multiple of track_head.update_num_heads {head.update_num_heads}"
    if min(head.iters, head.corr_levels, head.k_neighbors, head.update_depth) < 1:
        yield "track_head.iters, .corr_levels, .k_neighbors and .update_depth must be positive"
