"""St4RTrack's family: pairs of a clip's first frame with every frame, their losses, and their world as geometry and tracks."""

import copy
import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from networks.building import Network
from networks.layers.computing import full_precision
from networks.pi3 import ModelOutput
from networks.st4rtrack import TwinOutput
from networks.st4rtrack.network import EncodedImages, St4RTrack, TwinNetwork
from pipeline.errors import ConfigError
from trainer.data import ClipBatch
from trainer.families.pictures import draw_reconstruction
from trainer.families.protocol import InferenceDefaults, KnownGeometry
from trainer.families.st4rtrack.adaptation import poses_of_maps
from trainer.families.st4rtrack.losses import ClipMaps, adaptation_terms, clip_maps, supervised_terms
from trainer.families.st4rtrack.settings import St4RTrackLosses
from trainer.families.st4rtrack.targets import maps_to_tracks, pair_targets
from trainer.geometry import in_image, invert_rigid, nearest_pixels, transform_points
from trainer.geometry.pnp import pinhole_matrix, weiszfeld_focal
from trainer.losses import ClipLosses, LossTerm
from trainer.losses.settings import weights_of

_log = logging.getLogger(__name__)
_RGB = 3
_PAIRS_AT_ONCE = 8  # of an inference
_OCCLUDED = 0.05  # of the depth: how far behind the surface a point is half hidden
_LOGGED = ("zoom", "failed_poses")


class St4RTrackFamily:
    """See `trainer.families.protocol.Family`."""

    settings_type = St4RTrackLosses
    inference_defaults = InferenceDefaults(pixels=512 * 288, video_stride=1)

    def patch_size(self, model: Network) -> int:
        """The encoder's. Raises: ConfigError for a network of other images than RGB, which no data path makes."""
        config = _twin(model).config
        if config.input_channels != _RGB:
            raise ConfigError(
                f"the network takes images of {config.input_channels} channels (input_channels), and data and videos have {_RGB}, RGB: set"
                f" model.config.input_channels to {_RGB} and train anew, or call the network from code of your own that makes the others"
            )
        return config.patch_size

    def keeps_start(self, settings: St4RTrackLosses) -> bool:
        """Where only the tracking branch adapts: the other branch's output is that of the weights that training began from."""
        return settings.learns_from_pseudo_labels and settings.adaptation_settings.adapt == "tracking"

    def keep_start(self, model: Network, settings: St4RTrackLosses) -> None:
        """A frozen copy of all but the encoder, of which head 2 is read in adaptation.

        Freezing branch 2's weights alone would not hold its output: it attends to branch 1, and shares layers with it.
        """
        twin = _twin(model)
        if not self.keeps_start(settings):
            return
        trained = [name for name in ("patch_embed", "enc_blocks") if any(p.requires_grad for p in twin.get_submodule(name).parameters())]
        if trained:
            raise ConfigError(f"adapt: tracking keeps the reconstruction as it is, and {', '.join(trained)} are not frozen; freeze them")
        shared = {id(module): module for module in (twin.patch_embed, twin.enc_blocks)}
        twin.kept_start = (copy.deepcopy(twin, shared).requires_grad_(False).eval(),)  # in a tuple: no part of the network

    def tracks(self, model: Network) -> bool:
        """Always: the points of the first frame."""
        return True

    def infers(self, model: Network) -> bool:
        """Always."""
        return True

    def check_shape(self, model: Network, settings: St4RTrackLosses, height: int, width: int) -> None:
        """Any multiple of the patch will do."""

    def forward(self, model: Network, clips: ClipBatch, settings: St4RTrackLosses) -> TwinOutput:
        """Maps of the pairs (0, j) of all clips, clip by clip."""
        twin = _twin(model)
        output = pair_maps(twin, clips.images)
        if not twin.kept_start or clips.geometry is not None:
            return output
        with torch.no_grad():
            fixed = pair_maps(twin.kept_start[0], clips.images)
        return replace(output, point_map_2=fixed.point_map_2, confidence_2=fixed.confidence_2)

    def labelled_losses(self, output: TwinOutput, clips: ClipBatch, settings: St4RTrackLosses) -> ClipLosses:
        """Confidence-weighted regression of both maps."""
        targets = pair_targets(clips)
        maps = clip_maps(output, len(clips.keys))
        found = [supervised_terms(*pair, settings.supervised_settings) for pair in zip(maps, targets, strict=True)]
        return _losses(clips.keys, "supervised", found, weights_of(settings.supervised))

    def pseudo_losses(self, output: TwinOutput, clips: ClipBatch, settings: St4RTrackLosses) -> ClipLosses:
        """Adaptation: reprojected trajectories, depth, the two heads' agreement."""
        assert settings.adaptation is not None  # else the objective computes no pseudo side
        maps = clip_maps(output, len(clips.keys))
        found = [
            adaptation_terms(clip, clips, number, settings.adaptation, settings.adaptation_settings) for number, clip in enumerate(maps)
        ]
        weights = {name: weight * settings.adaptation_weight for name, weight in weights_of(settings.adaptation).items()}
        return _losses(clips.keys, "adaptation", found, weights)

    def pictures(self, clips: ClipBatch, output: TwinOutput) -> Mapping[str, np.ndarray]:
        """Frames, depth, points and tracks from above."""
        geometry = world_of_maps(clip_maps(output, len(clips.keys))[0], clips.query_points[0])
        return draw_reconstruction(clips, geometry)

    def predict(self, model: Network, images: Tensor, query_points: Tensor | None, geometry: KnownGeometry | None = None) -> ModelOutput:
        """Geometry in the first camera's axes, the kept start's if there is one; tracks are head 1 nearest to the queries."""
        twin, queries = _twin(model), None if query_points is None else query_points[0]
        maps, *held = (clip_maps(pair_maps(one, images, pairs_at_once=_PAIRS_AT_ONCE), 1)[0] for one in (twin, *twin.kept_start))
        return world_of_maps(held[0] if held else maps, queries, moved=maps.point_map_1)


def pair_maps(model: TwinNetwork, images: Tensor, *, pairs_at_once: int | None = None) -> TwinOutput:
    """Maps of the pairs (0, j) of B clips, "B T 3 H W" in [0, 1]: "B*T ...", each image encoded once.

    Args:
        pairs_at_once: in one call of the decoder; None: all.
    """
    num_clips, num_frames = images.shape[:2]
    frames = images.flatten(0, 1) * 2 - 1
    step = pairs_at_once or len(frames)
    encoded = [model.encode(part) for part in frames.split(step)]
    second = EncodedImages(tokens=torch.cat([part.tokens for part in encoded]), grid=encoded[0].grid)
    first = second[torch.arange(num_clips, device=images.device).repeat_interleave(num_frames) * num_frames]
    parts = [model.decode(first[start : start + step], second[start : start + step]) for start in range(0, len(frames), step)]
    names = ("point_map_1", "confidence_1", "point_map_2", "confidence_2")
    return TwinOutput(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def world_of_maps(maps: ClipMaps, queries: Tensor | None, *, moved: Tensor | None = None) -> ModelOutput:
    """Cameras, points and tracks of one clip, as one record, without gradient.

    Frames whose camera is not found stand at the first one's; a first map without a focal length gets the longer side, and no camera of the
    clip counts as found then. A warning says so, and `camera_found` which frames they are.

    Visibility is ours, since the network has none: how near a point's depth is to that of the surface where it projects to.

    Args:
        queries: "N 2", (x, y) in frame 0; None: no tracks.
        moved: "T H W 3", head 1 that tracks are read from, of a network that adapted; None: that of the maps.
    """
    with torch.no_grad(), full_precision(maps.point_map_1.device):
        num_frames, height, width = maps.confidence_1.shape
        middle = maps.point_map_1.new_tensor([(width - 1) / 2, (height - 1) / 2])
        focal = weiszfeld_focal(maps.point_map_1[0], middle)
        has_focal = bool(focal.isfinite() & (focal > 0))
        if not has_focal:
            _log.warning("the first frame's points give no focal length: the network has failed on it; %d px are taken", max(height, width))
            focal = focal.new_tensor(float(max(height, width)))
        intrinsics = pinhole_matrix(focal, middle)
        to_first, solution = poses_of_maps(
            maps.point_map_2, maps.confidence_2, intrinsics, most_pixels=2048, draw=torch.Generator().manual_seed(0), swap_bounds=False
        )
        if lost := int(solution.failed.sum()):
            _log.warning("%d of %d frames: no camera sees their points so, and they stand at the first one's", lost, num_frames)
        from_first = invert_rigid(to_first)
        local_points = transform_points(from_first, maps.point_map_2.flatten(1, 2)).unflatten(1, (height, width))
        geometry = ModelOutput(
            points=maps.point_map_2[None],
            local_points=local_points[None],
            conf=(maps.confidence_2 - 1).clamp_min(1e-6).log()[None, ..., None],
            camera_poses=to_first[None],
            camera_found=(~solution.failed & has_focal)[None],
        )
        if queries is None:
            return geometry
        world = maps_to_tracks(maps.point_map_1 if moved is None else moved, queries)
        camera = transform_points(from_first, world)
        scores = _visibility(camera, intrinsics, local_points[..., 2])
        return replace(
            geometry,
            traj3d_world=[world[None]],
            traj3d_camera=[camera[None]],
            visibility=scores[None],
            visibility_logits=[torch.logit(scores, eps=1e-4)[None]],
        )


def _visibility(camera: Tensor, intrinsics: Tensor, depth: Tensor) -> Tensor:
    """Scores "T N" in [0, 1] of points "T N 3" in each camera against depth maps "T H W": 1 on the surface, 0 outside the image."""
    size = (depth.shape[1], depth.shape[2])
    front = camera[..., 2] > 1e-6
    pixels = camera[..., :2] / torch.where(front, camera[..., 2], 1)[..., None]
    pixels = pixels * intrinsics[0, 0] + intrinsics[:2, 2]
    x, y = nearest_pixels(pixels.nan_to_num(0.0).clamp(-1e6, 1e6), size)
    surface = depth[torch.arange(len(depth), device=depth.device)[:, None], y, x]
    behind = (camera[..., 2] - surface) / (_OCCLUDED * surface.abs().clamp_min(1e-6))
    return torch.where(front & in_image(pixels, size), 1 / (1 + behind.square()), 0)


def _losses(keys: tuple[str, ...], group: str, found: list[dict[str, Tensor]], weights: Mapping[str, float]) -> ClipLosses:
    """Terms of all clips under names such as "adaptation/depth"."""
    terms = [
        LossTerm(name=f"{group}/{name}", weight=weights.get(name, 0.0), values=torch.stack([clip[name] for clip in found]))
        for name in (*weights, *_LOGGED)
        if name in found[0]
    ]
    return ClipLosses(keys=keys, terms=tuple(terms))


def _twin(model: Network) -> St4RTrack:
    if not isinstance(model, St4RTrack):
        raise ConfigError(f"{type(model).__name__} is no St4RTrack")
    return model
