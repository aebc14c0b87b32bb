"""Truth of a clip as St4RTrack is taught it: maps of pairs (first frame, frame j) in the first camera's axes; and back to tracks."""

import torch
from torch import Tensor

from pipeline.errors import DataError
from trainer.data import ClipBatch
from trainer.families.st4rtrack.regression import PairTargets
from trainer.geometry import in_image, invert_rigid, nearest_pixels, transform_points


def pair_targets(clips: ClipBatch) -> list[PairTargets]:
    """Targets of each clip of a batch.

    A track counts at the pixel nearest to where it is seen in frame 0; of two tracks at one pixel the earlier one does. Frames of which
    the pose is not known have no targets.

    Raises: DataError if the clips have no truth.
    """
    truth = clips.truth()
    assert clips.tracks3d_world is not None, "a batch has all of its truth or none"
    assert clips.visibility is not None, "a batch has all of its truth or none"
    size = (clips.images.shape[-2], clips.images.shape[-1])
    from_world = invert_rigid(truth.camera_to_world[:, :1])  # of frame 0, "B 1 4 4"
    posed = torch.ones_like(truth.valid[:, :, 0, 0]) if truth.pose_valid is None else truth.pose_valid
    points = transform_points(from_world @ truth.camera_to_world, truth.local_points.flatten(2, 3)).unflatten(2, size)
    tracks = transform_points(from_world, clips.tracks3d_world)
    known = clips.tracks3d_world.isfinite().all(-1)
    seen = clips.visibility[:, 0] & known[:, 0] & in_image(clips.query_points, size)
    return [
        tracks_to_maps(
            clips.query_points[clip],
            torch.where(known[clip, ..., None], tracks[clip], 0),
            known[clip] & seen[clip],
            points[clip],
            truth.valid[clip] & posed[clip, :, None, None],
        )
        for clip in range(len(clips.keys))
    ]


def tracks_to_maps(queries: Tensor, tracks: Tensor, known: Tensor, points: Tensor, valid: Tensor) -> PairTargets:
    """Tracks as an image of the first frame's pixels.

    Args:
        queries: "N 2", (x, y) in frame 0. tracks: "T N 3", in the first camera's axes. known: bool "T N".
        points: "T H W 3", of each frame, in the first camera's axes. valid: bool "T H W".
    """
    height, width = points.shape[1:3]
    x, y = nearest_pixels(queries, (height, width))
    usable = known.any(0).nonzero()[:, 0]
    first = torch.full((height * width,), len(queries), device=usable.device)  # of a pixel's tracks, the earliest
    first = first.scatter_reduce(0, (y * width + x)[usable], usable, "amin")
    chosen = first[first < len(queries)]
    trajectory, mask = torch.zeros_like(points), torch.zeros_like(valid)
    trajectory[:, y[chosen], x[chosen]] = tracks[:, chosen]
    mask[:, y[chosen], x[chosen]] = known[:, chosen]
    return PairTargets(trajectory=trajectory, trajectory_mask=mask, geometry=points, geometry_mask=valid)


def maps_to_tracks(point_maps: Tensor, queries: Tensor) -> Tensor:
    """Head 1 read at the pixels nearest to queries: the tracks "T N 3" that maps "T H W 3" say.

    Args:
        queries: "N 2", (x, y) in frame 0, within the image.
    """
    x, y = nearest_pixels(queries, (point_maps.shape[1], point_maps.shape[2]))
    return point_maps[:, y, x]


def require_depth(clips: ClipBatch) -> Tensor:
    """Depth labels of a batch. Raises: DataError, naming the clips and the remedy, if there are none."""
    if clips.pseudo_depth is None:
        raise DataError(
            f"clips {', '.join(clips.keys)}: no depth labels, and losses.adaptation.depth counts; label the root with a depth labeler"
            " (jobs/pseudolabel.py --labeler transformers-depth) and name its set in `labels` beside the tracks, or set the weight to 0"
        )
    return clips.pseudo_depth
