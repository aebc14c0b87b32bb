"""A tiny TrajVG for the self-supervision experiments, in parts, so that cameras train on stored tokens, and with channels behind RGB."""

from collections.abc import Sequence
from typing import Any

import torch
from experiments import places
from self_supervision_clips import CHANNELS, SIZE, Window
from torch import Tensor

from networks.layers.blocks import token_positions
from networks.pi3.config import ModelConfig
from networks.pi3.geometry import MAX_LOG_DEPTH, Geometry, ModelOutput, camera_to_world, decode_points
from networks.pi3.transformer import DecodedTokens, Encoder
from networks.trajvg import TrajVG

PATCH, WIDTH = 7, 96  # patches of 14 pixels do not learn to compare frames in the time that there is
GRID = (SIZE[0] // PATCH, SIZE[1] // PATCH)
GUESSED_FOCAL = 0.8  # of the width
CONFIG: dict[str, Any] = {
    "encoder": {"img_size": SIZE[0], "patch_size": PATCH, "embed_dim": WIDTH, "depth": 2, "num_heads": 3, "mlp_ratio": 2},
    "decoder": {"dim": WIDTH, "depth": 6, "num_heads": 3, "mlp_ratio": 2, "init_values": 0.5},  # the public 0.01 is for weights that exist
    "point_decoder": {"in_dim": 2 * WIDTH, "dec_embed_dim": 64, "depth": 1, "dec_num_heads": 2, "out_dim": 48},
    "camera_decoder": {"in_dim": 2 * WIDTH, "dec_embed_dim": 96, "depth": 2, "dec_num_heads": 3, "out_dim": 64},
    "point_head": {"dim_proj": 48, "dim_upsample": [16, 8], "num_res_blocks": 1, "last_conv_channels": 8},
    "conf_head": {"dim_proj": 48, "dim_upsample": [16, 8], "num_res_blocks": 1, "last_conv_channels": 8, "dim_out": [1]},
    "camera_head": {"dim": 64},
    "track_decoder": {"dim_in": 2 * WIDTH, "patch_size": PATCH, "features": 8, "out_channels": [8, 8, 8, 8],
                      "intermediate_layer_idx": [0, 1, 1, 2], "token_layout": "clean"},
    "track_head": {"features": 8, "iters": 2, "corr_levels": 2, "hidden_size": 48, "update_depth": 1, "update_num_heads": 2,
                   "num_virtual_tracks": 8, "k_neighbors": 4},
}  # fmt: skip
CAMERA_PARTS = ("camera_decoder", "camera_head")
TRACKER_PARTS = ("track_decoder", "track_head")
UNUSED_PARTS = ("conf_decoder", "conf_head")


class PixelTrajVG(TrajVG):
    """TrajVG on RGB alone, without its confidence, which nothing here asks for."""

    def decoded(self, images: Tensor, pairs: Sequence[int] = ()) -> DecodedTokens:
        """Images "B T C H W", RGB first, through encoder and decoder."""
        colours, given = images.flatten(0, 1).split([3, images.shape[2] - 3], dim=1)
        patches = self.encoder(torch.cat([(colours - self.image_mean) / self.image_std, given], dim=1))
        registers = self.register_token[0].expand(len(patches), -1, -1)
        angles = self._angles(self.token_places(), self.decoder_head_size)
        decoded: DecodedTokens = self.decoder(torch.cat([registers, patches], dim=1), angles, images.shape[1], pairs)
        return decoded

    def token_places(self) -> Tensor:
        """Of a frame's tokens."""
        return token_positions(*GRID, num_registers=self.config.decoder.num_register_tokens, device=self.register_token.device)

    def cameras(self, tokens: Tensor) -> Tensor:
        """Poses "B T 4 4" of the decoder's last tokens "B T L 2C"."""
        poses: Tensor = self.camera_head(self._head(self.camera_decoder, tokens.flatten(0, 1), self.token_places()))
        return poses.unflatten(0, tokens.shape[:2])

    def geometry(self, images: Tensor, pairs: Sequence[int] = (), *, confidence: bool = True) -> Geometry:
        """Images "B T C H W" to geometry, and the asked-for pairs of decoder blocks; there is no confidence, and `conf` is zero."""
        decoded = self.decoded(images, pairs)
        local_points = self.local_points(decoded.last, images)
        poses = self.cameras(decoded.last.unflatten(0, images.shape[:2]))
        output = ModelOutput(
            points=camera_to_world(local_points, poses),
            local_points=local_points,
            conf=torch.zeros_like(local_points[..., :1]),
            camera_poses=poses,
        )
        return Geometry(output=output, grid=GRID, pairs=decoded.pairs)

    def local_points(self, tokens: Tensor, images: Tensor) -> Tensor:
        """Point maps "B T H W 3" of the decoder's last tokens "BT L 2C"."""
        xy, log_depth = self.point_head(self._head(self.point_decoder, tokens, self.token_places()), GRID)
        points = decode_points(xy.permute(0, 2, 3, 1), log_depth.clamp(max=MAX_LOG_DEPTH).permute(0, 2, 3, 1))
        return points.unflatten(0, images.shape[:2])


class GivenTrajVG(PixelTrajVG):
    """With the channels of `Window` behind RGB. What the point head gives counts on top of the given depth and a guessed camera's rays.

    So it begins with the points that its channels hold: the stand-in for pretrained weights, which a network this small would take longer
    to learn, and forget at once.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config.encoder, channels=3 + CHANNELS)

    def local_points(self, tokens: Tensor, images: Tensor) -> Tensor:
        """See `PixelTrajVG.local_points`."""
        points = super().local_points(tokens, images)
        given = 1 / images[:, :, 3, ..., None]
        rays = torch.from_numpy(places(SIZE)).to(points) - (SIZE[1] - 1) / 2
        across = points[..., :2] + points[..., 2:] * rays / (GUESSED_FOCAL * SIZE[1])
        return given * torch.cat([across, points[..., 2:]], dim=-1)


def new_model(seed: int, *, given: bool) -> PixelTrajVG:
    """With random weights."""
    return (GivenTrajVG if given else PixelTrajVG).build(CONFIG, torch.Generator().manual_seed(seed))


def images_of(windows: Sequence[Window], model: PixelTrajVG) -> Tensor:
    """What the network reads of windows: "B T C H W". Given depth is in the unit of the window: the first frame's median is 1."""
    colours = torch.stack([window.labelled.images for window in windows]).movedim(-1, 2).float() / 255
    if not isinstance(model, GivenTrajVG):
        return colours
    channels = torch.stack([window.channels for window in windows])
    unit = channels[:, 0, 0].flatten(1).median(dim=1).values[:, None, None, None]
    inverse, flow = channels.split([1, 2], dim=2)
    return torch.cat([colours, inverse / unit[..., None], flow], dim=2)
