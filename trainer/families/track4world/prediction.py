"""Track4World on one video: the backbone's geometry by one camera, and tracks of pixels of the first frame."""

from dataclasses import replace

import torch
from torch import Tensor

from networks.pi3 import ModelOutput
from networks.pi3.geometry import camera_to_world
from networks.track4world import DenseFlow, GeometryBundle, bundle_of_truth
from networks.track4world.correlation import anchor_grid
from networks.track4world.network import Track4World, padding_of
from networks.track4world.unprojection import PinholeFit, fit_pinhole, lift, unproject
from pipeline.errors import ConfigError
from trainer.families.protocol import KnownGeometry
from trainer.geometry import nearest_pixels

_ITERATIONS = 4
_CENTRE = 0.5  # of a pixel from its edge


def given_bundle(model: Track4World, geometry: KnownGeometry) -> GeometryBundle:
    """True geometry below the decoder. Raises: DataError for a frame without a single valid depth."""
    return bundle_of_truth(geometry.depth, geometry.intrinsics, geometry.camera_to_world, token_width=model.config.dim_feature)


def predict_clip(model: Track4World, images: Tensor, queries: Tensor | None, bundle: GeometryBundle | None = None) -> ModelOutput:
    """Points unprojected by the camera that is fitted to the clip, and hybrid tracks: pixels of the 2D flow at depths of the 3D flow.

    All frames are the targets of one window. Visibility is visibility times confidence, as the public evaluation takes it.

    Args:
        images: "1 T 3 H W" in [0, 1].
        queries: "1 N 2", (x, y) in frame 0; None: no tracks.
        bundle: geometry of these frames; None: the backbone's.
    Raises: ConfigError for a network without backbone and a call without bundle: geometry is not to be had from images.
    """
    if model.backbone is None and bundle is None:
        raise ConfigError(
            "this track4world has no backbone, and infers from geometry that it is given (evaluate model --geometry truth, or a bundle for"
            " labelers.track4world); train one with model.config.backbone pi3x or trajvg to infer from images"
        )
    bundle, padding = model.geometry(images) if bundle is None else bundle, padding_of(images)
    points, score = padding.crop(bundle.points[0]), padding.crop(bundle.mask[0])
    camera = fit_pinhole(points, score > bundle.mask_threshold)
    intrinsics = camera.intrinsics((padding.height, padding.width))
    local = unproject(points[:, 2] + camera.shift, intrinsics).permute(0, 2, 3, 1)[None]
    poses = bundle.poses()
    geometry = ModelOutput(
        points=camera_to_world(local, poses), local_points=local, conf=score[None, ..., None].logit(eps=1e-6), camera_poses=poses
    )
    if queries is None:
        return geometry
    flow = model(images, bundle, num_iterations=_ITERATIONS)[-1]
    return _with_tracks(geometry, flow, queries[0], points[0, 2], camera)


def _with_tracks(geometry: ModelOutput, flow: DenseFlow, queries: Tensor, depth: Tensor, camera: PinholeFit) -> ModelOutput:
    """Geometry with the tracks of the pixels nearest to queries "N 2"; `depth` is "H W", the first frame's before the camera's shift."""
    size = (depth.shape[0], depth.shape[1])
    pixels = anchor_grid(flow.flow) + flow.flow[0]  # "S 2 H W"
    points = lift(pixels, depth + flow.flow3d[0, :, 2] + camera.shift, camera.intrinsics(size), pixel_offset=_CENTRE)
    x, y = nearest_pixels(queries, size)
    moved, scores = points[:, :, y, x].mT, flow.visconf[0].prod(dim=1)[:, y, x]
    if len(moved) < geometry.local_points.shape[1]:  # of a pair, the second frame alone
        moved = torch.cat([geometry.local_points[0, :1, y, x], moved])
        scores = torch.cat([torch.ones_like(scores), scores])
    return replace(
        geometry,
        traj3d_camera=[moved[None]],
        traj3d_world=[camera_to_world(moved[None], geometry.camera_poses)],
        visibility=scores[None],
        visibility_logits=[scores.logit(eps=1e-6)[None]],
    )
