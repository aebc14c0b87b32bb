"""Track4World as `build_model` knows it: a geometry backbone, and the decoder of 2D and 3D flow between frames."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.building import Network, Shapes
from networks.layers.computing import full_precision
from networks.pi3.backbone import IMAGE_MEAN, IMAGE_STD
from networks.pi3.geometry import ConvGeometry
from networks.pi3.pi3 import Pi3X
from networks.track4world.blocks import Aggregator, ContextEncoder, PixelHead, upsampling_weights
from networks.track4world.bundle import GeometryBundle, Padding, RawGeometry, bundle_of_backbone
from networks.track4world.config import STRIDE, Track4WorldConfig, config_of_shapes
from networks.track4world.correlation import anchor_grid, encode_motion, lookup, pooled_features, sample_maps, strided_points
from networks.track4world.features import AnchorState, DenseFlow, FrameFeatures, Window, time_rows, time_table
from networks.track4world.update import Flow3dHead, FlowUpdate, upsample
from networks.trajvg.trajvg import TrajVG
from pipeline.errors import ConfigError, DataError

_CASE = ("case", "T", "H", "W", "iters", "iters_pair", "iters_window")  # of golden vectors' tables, which describe no network
_UPSAMPLING_SHARPNESS = 0.25
_BACKBONES: Mapping[str, type[ConvGeometry]] = {"pi3x": Pi3X, "trajvg": TrajVG}


class Track4World(Network):
    """The network of the public Track4World checkpoints: 2406 entries with Pi3X, 461 of the decoder for Depth-Anything-3."""

    config_type: ClassVar[type] = Track4WorldConfig
    config: Track4WorldConfig
    time_emb: Tensor
    time_emb3d: Tensor
    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: Track4WorldConfig) -> None:
        super().__init__(config)
        again, width, detail = config.computing.gradient_checkpointing, config.flow_dim, config.flow3d_dim
        self.register_buffer("time_emb", torch.zeros(1, config.seqlen, config.ctx_dim))
        self.register_buffer("time_emb3d", torch.zeros(1, config.seqlen, detail))
        self.register_buffer("image_mean", torch.zeros(1, 3, 1, 1))
        self.register_buffer("image_std", torch.zeros(1, 3, 1, 1))
        self.backbone = _BACKBONES[config.backbone](config.backbone_config) if config.backbone != "none" else None
        self.flow_aggregator = Aggregator(width, depth=config.flow_depth, num_heads=config.heads, gradient_checkpointing=again)
        self.flow_aggregator3d = Aggregator(detail, depth=config.depth3d, num_heads=config.heads, gradient_checkpointing=again)
        self.ctx_encoder = ContextEncoder(config)
        self.dot_conv = nn.Conv2d(config.ctx[-1], config.ctx_dim, kernel_size=1)
        self.dot_fc1 = nn.Linear(config.dim_feature, width)
        self.dot_fc2 = nn.Linear(config.dim_feature, detail)
        self.flow_update_block = FlowUpdate(config)
        self.flow3d_head = Flow3dHead(config)
        self.flow_2d_head = PixelHead(width, 2)
        self.flow_visconf_head = PixelHead(width, 2)
        self.flow_upsample_weight = upsampling_weights(width, STRIDE)
        self.flow_3d_upsample_weight = upsampling_weights(detail, STRIDE)

    def forward(self, images: Tensor, bundle: GeometryBundle | None = None, *, num_iterations: int = 4) -> list[DenseFlow]:
        """Flow from the first frame of clips to all of them, as one window; of a pair, to the second frame alone.

        Args:
            images: "B T 3 H W" in [0, 1], T of 2 or more.
            bundle: geometry of these frames; None for the backbone's.
        Returns: of every iteration, "B S ..." of S = T targets, or 1 of a pair. No gradient reaches bundle or backbone.
        Raises: DataError for shapes that do not fit; ConfigError without bundle and backbone.
        """
        features = self.encode(images, self.geometry(images) if bundle is None else bundle)
        num_frames, padding = images.shape[1], padding_of(images)
        targets = torch.arange(1 if num_frames == 2 else 0, num_frames, device=images.device)
        window = Window(source=features[:, 0], targets=features[:, targets])
        return [self.upsample(state, padding, len(targets)) for state in self.iterate(window, num_iterations)]

    def geometry(self, images: Tensor) -> GeometryBundle:
        """The backbone's geometry of clips "B T 3 H W" in [0, 1], without gradient. Raises ConfigError where there is no backbone."""
        with torch.no_grad():
            return bundle_of_backbone(self.raw_geometry(images), self._checked(images))

    def raw_geometry(self, images: Tensor, *, confidence: bool = True) -> RawGeometry:
        """What the backbone says of clips "B T 3 H W" in [0, 1], at its own size and in its own unit; gradient flows to it.

        Args:
            confidence: False leaves it out, for those who make no bundle.
        Raises: ConfigError where there is no backbone.
        """
        if self.backbone is None:
            raise ConfigError("this track4world was built without backbone; give it a geometry bundle, or build it with backbone pi3x")
        padding = self._checked(images)
        padded = padding.pad(images).flatten(0, 1)
        resized = F.interpolate(padded, size=padding.backbone, mode="bilinear", align_corners=False, antialias=True)
        width, last = self.config.dim_feature, self.config.backbone_config.decoder.depth // 2 - 1
        geometry = self.backbone.geometry(resized.unflatten(0, images.shape[:2]), (last,), confidence=confidence)
        logits = geometry.output.conf
        return RawGeometry(
            tokens=geometry.pairs[0][..., -width:].unflatten(0, images.shape[:2]),
            num_special=self.config.backbone_config.decoder.num_register_tokens,
            patch_grid=geometry.grid,
            points=geometry.output.local_points,
            confidence=None if logits is None else logits[..., 0],
            camera_poses=geometry.output.camera_poses,
        )

    def encode(self, images: Tensor, bundle: GeometryBundle) -> FrameFeatures:
        """Anchors' features of all frames: "B T ... h w", h = Hp/8, w = Wp/8.

        Args:
            images: "B T 3 H W" in [0, 1].
            bundle: geometry of these frames.
        Raises: DataError where images and bundle do not fit each other or the network.
        """
        padding = self._checked(images)
        expected = (*images.shape[:2], 3, *padding.padded)
        if tuple(bundle.points.shape) != expected or bundle.tokens.shape[-1] != self.config.dim_feature:
            raise DataError(
                f"bundle of points {list(bundle.points.shape)} and tokens of {bundle.tokens.shape[-1]} channels, expected {list(expected)}"
                f" and {self.config.dim_feature}: make it of these frames and for this network"
            )
        size = (padding.padded[0] // STRIDE, padding.padded[1] // STRIDE)
        normalised = (padding.pad(images) - self.image_mean) / self.image_std
        return FrameFeatures(
            geometry=self._aggregate(self.flow_aggregator, self.dot_fc1, bundle, size),
            context=self._context(normalised.flatten(0, 1)).unflatten(0, images.shape[:2]),
            detail=self._aggregate(self.flow_aggregator3d, self.dot_fc2, bundle, size),
            points=bundle.points[..., ::STRIDE, ::STRIDE].detach().float(),
        )

    def iterate(self, window: Window, num_iterations: int) -> Iterator[AnchorState]:
        """States of a window's S targets after each iteration, K = B S items each: first all targets of the first clip.

        What is detached: flows at the beginning of an iteration, all coordinates, the points, and the 2D state that the 3D head sees.
        So 3D flow teaches nothing of the 2D branch, and 2D flow nothing of the 3D branch.
        """
        targets = window.targets.flat()
        source = window.source.repeated(window.num_targets)
        times = (
            time_rows(self.time_emb[0], window.num_targets, window.time_row),
            time_rows(self.time_emb3d[0], window.num_targets, window.time_row),
        )
        batch = len(window.source.points)
        with full_precision(source.points.device):
            pyramids = _Pyramids.of(targets, self.config.levels)
            context = source.context + times[0].repeat(batch, 1)[..., None, None]
            state = window.start_state(source.geometry, source.detail + times[1].repeat(batch, 1)[..., None, None])
        for _ in range(num_iterations):
            state = self._iteration(state, source, targets, pyramids, context, window.num_targets)
            yield state

    def upsample(self, state: AnchorState, padding: Padding, num_targets: int) -> DenseFlow:
        """A state of K = B S items on all pixels of the unpadded frames, "B S ..."."""
        logits2d = _UPSAMPLING_SHARPNESS * self.flow_upsample_weight(state.hidden)
        logits3d = _UPSAMPLING_SHARPNESS * self.flow_3d_upsample_weight(state.detail)
        with full_precision(state.flow.device):
            # visibility's logits are multiplied by 8 with the flow: the public weights were trained so
            planar = upsample(STRIDE * torch.cat([state.flow, state.visconf], dim=1), logits2d.float())
            spatial = upsample(state.flow3d, logits3d.float())
        maps = [padding.crop(part).unflatten(0, (-1, num_targets)) for part in (planar[:, :2], spatial, planar[:, 2:])]
        return DenseFlow(flow=maps[0], flow3d=maps[1], visconf_logits=maps[2])

    def fill_constants(self) -> None:
        """Write the times' tables and the images' statistics, and the backbone's."""
        self.time_emb.copy_(time_table(self.config.seqlen, self.config.ctx_dim)[None])
        self.time_emb3d.copy_(time_table(self.config.seqlen, self.config.flow3d_dim)[None])
        self.image_mean.copy_(torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1))
        self.image_std.copy_(torch.tensor(IMAGE_STD).view(1, 3, 1, 1))
        if self.backbone is not None:
            self.backbone.fill_constants()

    @classmethod
    def parse_config(cls, table: Mapping[str, Any] | None) -> Any:
        """See `Network.parse_config`; entries of golden vectors' tables that describe their inputs are left out.

        Remarks, by a leading "_", may be in the backbone's section too.
        """
        if not isinstance(table, Mapping):
            return super().parse_config(table)
        given = {key: value for key, value in table.items() if key not in _CASE}
        if isinstance(below := given.get("backbone_config"), Mapping):
            given["backbone_config"] = {key: value for key, value in below.items() if not str(key).startswith("_")}
        return super().parse_config(given)

    @classmethod
    def config_of(cls, shapes: Shapes) -> dict[str, Any]:
        """See `Network.config_of`."""
        return config_of_shapes(shapes)

    def unread(self, names: Collection[str]) -> frozenset[str]:
        """See `Network.unread`: a network without backbone takes the decoder alone out of a whole file."""
        return frozenset(name for name in names if self.backbone is None and name.startswith("backbone."))

    def part_of(self, name: str) -> tuple[str, Network] | None:
        """See `Network.part_of`: the backbone can begin from its own file, and from one that its kind can begin from."""
        if self.backbone is None or not isinstance(self.backbone, _BACKBONES.get(name, ())):
            return None
        return "backbone.", self.backbone

    def _checked(self, images: Tensor) -> Padding:
        if images.ndim != 5 or images.shape[2] != 3 or not images.is_floating_point() or images.shape[1] < 2:
            raise DataError(f"images are {images.dtype}{list(images.shape)}, expected floating [B, T, 3, H, W] in 0..1 of 2 frames or more")
        height, width = images.shape[-2:]
        if min(height, width) < (smallest := self.config.smallest_side):
            raise DataError(
                f"images of {height} x {width} pixels are too small for a correlation of {self.config.levels} levels;"
                f" both sides must be {smallest} or more: resize them"
            )
        return padding_of(images)

    def _aggregate(self, aggregator: Aggregator, project: nn.Linear, bundle: GeometryBundle, size: tuple[int, int]) -> Tensor:
        """The bundle's tokens as maps "B T D h w" of anchors."""
        tokens = aggregator(project(bundle.tokens.detach().to(project.weight.dtype)), bundle.patch_grid, bundle.num_special)
        maps = tokens[:, :, bundle.num_special :].transpose(2, 3).flatten(0, 1).unflatten(2, bundle.patch_grid)
        return F.interpolate(maps.float(), size=size, mode="area").unflatten(0, tokens.shape[:2])

    def _context(self, images: Tensor) -> Tensor:
        at_once = len(images) if torch.is_grad_enabled() else self.config.computing.frames_at_once
        return torch.cat([self.dot_conv(self.ctx_encoder(some)).float() for some in images.split(at_once)])

    def _iteration(
        self, state: AnchorState, source: FrameFeatures, targets: FrameFeatures, pyramids: "_Pyramids", context: Tensor, num_targets: int
    ) -> AnchorState:
        flow, flow3d = state.flow.detach(), state.flow3d.detach()
        with full_precision(flow.device):
            anchors = anchor_grid(flow)
            before = anchors + flow
            correlations = [
                self._lookup(features, levels, before)
                for features, levels in (
                    (source.geometry, pyramids.geometry),
                    (source.context, pyramids.context),
                    (source.points + flow3d, pyramids.points),
                )
            ]
            codes = encode_motion(flow), encode_motion(flow3d)
            detail_before, points_before = sample_maps(targets.detail, before), sample_maps(targets.points, before)
        motions = self.flow_update_block.motion(codes[0], correlations[0], correlations[1])
        hidden = self.flow_update_block(state.hidden, context, motions, state.visconf, num_targets)
        flow = flow + self.flow_2d_head(hidden).float()
        visconf_step = self.flow_visconf_head(hidden).float()
        with full_precision(flow.device):
            after = (anchors + flow).detach()
            detail_after, lifted = sample_maps(targets.detail, after), sample_maps(targets.points, after) - points_before
            if not self.config.lifting_prior:
                lifted = torch.zeros_like(lifted)
        motion3d = self.flow3d_head.motion_encoder3d(codes[1], correlations[2])
        detail = self.flow3d_head(hidden.detach(), state.detail, (detail_before, detail_after), motion3d, num_targets)
        flow3d = flow3d + self.flow3d_head.step(detail, lifted).float()
        return AnchorState(flow=flow, flow3d=flow3d, visconf=state.visconf + visconf_step, hidden=hidden, detail=detail)

    def _lookup(self, source: Tensor, levels: list[Tensor], coordinates: Tensor) -> Tensor:
        computing = self.config.computing
        return lookup(
            source,
            levels,
            coordinates,
            radius=self.config.corr_radius,
            budget_mb=computing.correlation_mb,
            recompute=computing.gradient_checkpointing,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Pyramids:
    """Targets "K C h_l w_l" of the three volumes, level by level."""

    geometry: list[Tensor]
    context: list[Tensor]
    points: list[Tensor]

    @classmethod
    def of(cls, targets: FrameFeatures, num_levels: int) -> "_Pyramids":
        return cls(
            geometry=pooled_features(targets.geometry, num_levels),
            context=pooled_features(targets.context, num_levels),
            points=strided_points(targets.points, num_levels),
        )


def padding_of(images: Tensor) -> Padding:
    """Padding of images "... H W"."""
    return Padding(height=images.shape[-2], width=images.shape[-1])
