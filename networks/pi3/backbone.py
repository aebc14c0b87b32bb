"""Backbone of π³, Pi3X and TrajVG: everything but the dense heads and the tracker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from networks.building import Network
from networks.layers.blocks import Block, rotary_angles, token_positions
from networks.layers.compiling import compile_blocks
from networks.layers.computing import full_precision
from networks.pi3.config import ModelConfig
from networks.pi3.heads import CameraHead
from networks.pi3.transformer import AlternatingDecoder, Encoder, TransformerHead
from networks.registry import model_name
from pipeline.errors import ConfigError, DataError

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BackboneFeatures:
    """Features of B clips of T frames; all without register tokens but `pairs`."""

    grid: tuple[int, int]  # (h, w), patches of a frame
    point_tokens: Tensor  # "BT P C"
    conf_tokens: Tensor | None  # "BT P C"; None where confidence was not asked for
    camera_poses: Tensor  # float32 "B T 4 4", camera to world
    pairs: list[Tensor]  # float32 "BT L 2C" each: the asked-for pairs of decoder blocks, registers first


class Backbone(Network):
    """Encoder, decoder, the three transformer heads and the camera head."""

    config_type: ClassVar[type] = ModelConfig
    config: ModelConfig
    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        again = config.computing.gradient_checkpointing
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1))
        self.register_token = nn.Parameter(torch.zeros(1, 1, config.decoder.num_register_tokens, config.decoder.dim))
        self.encoder = Encoder(config.encoder, gradient_checkpointing=again)
        self.decoder = AlternatingDecoder(config.decoder, gradient_checkpointing=again)
        self.point_decoder = TransformerHead(config.point_decoder, gradient_checkpointing=again)
        self.conf_decoder = TransformerHead(config.point_decoder, gradient_checkpointing=again)
        self.camera_decoder = TransformerHead(config.camera_decoder, gradient_checkpointing=again)
        self.camera_head = CameraHead(config.camera_head.dim)
        if config.computing.compile:
            compile_blocks(self, (Block,))

    def fill_constants(self) -> None:
        """Write the images' statistics."""
        self.image_mean.copy_(torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1))
        self.image_std.copy_(torch.tensor(IMAGE_STD).view(1, 3, 1, 1))

    def features(self, images: Tensor, pairs: Sequence[int] = (), *, confidence: bool = True) -> BackboneFeatures:
        """Images "B T 3 H W" in [0, 1], H and W multiples of the patch, to features. Raises DataError for another shape."""
        check_images(images, self.config.encoder.patch_size)
        num_frames, patch = images.shape[1], self.config.encoder.patch_size
        grid = (images.shape[-2] // patch, images.shape[-1] // patch)
        patches = self.encoder((images.flatten(0, 1) - self.image_mean) / self.image_std)
        registers = self.register_token[0].expand(len(patches), -1, -1)
        positions = token_positions(*grid, num_registers=registers.shape[1], device=images.device)
        decoded = self.decoder(
            torch.cat([registers.to(patches.dtype), patches], dim=1), self._angles(positions, self.decoder_head_size), num_frames, pairs
        )
        point = self._head(self.point_decoder, decoded.last, positions)
        conf = self._head(self.conf_decoder, decoded.last, positions) if confidence else None
        camera = self._head(self.camera_decoder, decoded.last, positions)
        with full_precision(images.device):
            poses = self.camera_head(camera.float()).unflatten(0, (-1, num_frames))
        return BackboneFeatures(grid=grid, point_tokens=point, conf_tokens=conf, camera_poses=poses, pairs=decoded.pairs)

    @property
    def decoder_head_size(self) -> int:
        """Channels of one of the decoder's heads."""
        return self.config.decoder.dim // self.config.decoder.num_heads

    def _head(self, head: TransformerHead, tokens: Tensor, positions: Tensor) -> Tensor:
        sizes = self.config.camera_decoder if head is self.camera_decoder else self.config.point_decoder
        angles = self._angles(positions, sizes.dec_embed_dim // sizes.dec_num_heads)
        return head(tokens, angles)[:, self.config.decoder.num_register_tokens :]

    def _angles(self, positions: Tensor, head_size: int) -> Tensor:
        return rotary_angles(positions, head_size=head_size, frequency=self.config.decoder.rope_freq)


def expect_backbone(model: Network) -> Backbone:
    """The network as a backbone. Raises ConfigError for one that reconstructs nothing."""
    if not isinstance(model, Backbone):
        raise ConfigError(f"{model_name(model)} gives no point maps; take pi3, pi3x or trajvg")
    return model


def check_images(images: Tensor, patch: int) -> None:
    """Raise DataError unless images are floating "B T 3 H W" with H and W multiples of the patch."""
    if images.ndim != 5 or images.shape[2] != 3 or not images.is_floating_point() or 0 in images.shape:
        raise DataError(f"images are {images.dtype}{list(images.shape)}, expected floating [B, T, 3, H, W] in 0..1")
    height, width = images.shape[-2:]
    if height % patch or width % patch:
        raise DataError(f"images of {height} x {width} pixels: both sides must be multiples of {patch}; resize them")
