"""Pictures of a reconstruction while the network learns."""

import cv2
import numpy as np
import torch
from torch import Tensor

from networks.pi3 import ModelOutput
from trainer.data import ClipBatch
from trainer.geometry import transform_points

_MOST_FRAMES = 4
_LEAST_HEIGHT = 168  # pixels: smaller frames are shown larger, by a whole number
_TOP_VIEW = 256  # pixels, square
_SHARE = 0.98  # of the points that the view from above holds


def draw_reconstruction(clips: ClipBatch, output: ModelOutput, clip: int = 0) -> dict[str, np.ndarray]:
    """Pictures of one clip of a batch by name, RGB uint8 "H W 3": for families whose output is geometry, and tracks where there are any.

    frames: some frames with the tracks that count, small ones enlarged; depth: the same frames, near is red, far is blue;
    points_from_above: all frames' points in the first camera, x right, z up, in their own colours; tracks_from_above: the tracker's points
    likewise, by time from blue to red.
    """
    images, chosen = _array(clips.images[clip]).transpose(0, 2, 3, 1), _chosen_frames(clips)
    factor = _enlargement(clips)
    depth = _array(output.local_points[clip, ..., 2])
    points = _in_first_camera(output, output.local_points[clip].flatten(1, 2), clip)
    extent = np.quantile(np.abs(points[..., [0, 2]]), _SHARE) + 1e-6
    colours = (images.reshape(len(images), -1, 3) * 255).astype(np.uint8)
    tracks = None
    if output.traj3d_camera is not None:
        moved = _in_first_camera(output, output.traj3d_camera[-1][clip], clip)
        tracks = _draw_top_view(moved, np.broadcast_to(_turbo_colours(np.linspace(0.1, 0.9, len(moved)))[:, None], moved.shape), extent, 2)
    pictures = {
        "frames": draw_frames(clips, clip),
        "depth": np.concatenate([_enlarge(_colour_depth(depth[frame], depth), factor) for frame in chosen], axis=1),
        "points_from_above": _draw_top_view(points, colours, extent, 1),
    }
    return pictures if tracks is None else {**pictures, "tracks_from_above": tracks}


def draw_frames(clips: ClipBatch, clip: int) -> np.ndarray:
    """Some frames of one clip side by side with the tracks that count, small ones enlarged: RGB uint8 "H W 3"."""
    images, factor = _array(clips.images[clip]).transpose(0, 2, 3, 1), _enlargement(clips)
    pixels, weight = _array(clips.observations.tracks_px[clip]), _array(clips.observations.frame_weights[clip])
    rows = []
    for frame in _chosen_frames(clips):
        rows.append(_draw_tracks(_enlarge(images[frame], factor), (pixels[frame] + 0.5) * factor - 0.5, weight[frame]))
    return np.concatenate(rows, axis=1)


def _chosen_frames(clips: ClipBatch) -> np.ndarray:
    return np.unique(np.linspace(0, clips.images.shape[1] - 1, _MOST_FRAMES).round().astype(int))


def _enlargement(clips: ClipBatch) -> int:
    return max(1, round(_LEAST_HEIGHT / clips.images.shape[-2]))


def _enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _draw_tracks(image: np.ndarray, pixels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    canvas = np.ascontiguousarray((image * 255).astype(np.uint8))
    hues = _turbo_colours(np.linspace(0, 1, max(len(pixels), 1)))
    for place, trust, colour in zip(pixels, weight, hues, strict=False):
        if trust > 0:
            x, y = (round(float(value)) for value in place)
            cv2.circle(canvas, (x, y), 2, tuple(int(channel) for channel in colour), -1, cv2.LINE_AA)
    return canvas


def _colour_depth(depth: np.ndarray, whole: np.ndarray) -> np.ndarray:
    near, far = np.quantile(whole, [0.02, 0.98])
    return _turbo_colours(1 - np.clip((depth - near) / max(far - near, 1e-6), 0, 1))


def _draw_top_view(points: np.ndarray, colours: np.ndarray, extent: float, radius: int) -> np.ndarray:
    canvas = np.full((_TOP_VIEW, _TOP_VIEW, 3), 255, np.uint8)
    x = ((points[..., 0] / extent + 1) / 2 * (_TOP_VIEW - 1)).round().reshape(-1)
    y = ((1 - points[..., 2] / extent) * (_TOP_VIEW - 1)).round().reshape(-1)
    flat = colours.reshape(-1, 3)
    for dy in range(radius):
        for dx in range(radius):
            inside = (x + dx >= 0) & (x + dx < _TOP_VIEW) & (y + dy >= 0) & (y + dy < _TOP_VIEW)
            canvas[(y[inside] + dy).astype(int), (x[inside] + dx).astype(int)] = flat[inside]
    return canvas


def _in_first_camera(output: ModelOutput, points: Tensor, clip: int) -> np.ndarray:
    cameras = output.camera_poses[clip]
    return _array(transform_points(torch.linalg.solve(cameras[:1], cameras)[None], points[None])[0])


def _turbo_colours(shares: np.ndarray) -> np.ndarray:
    bytes_ = np.ascontiguousarray((np.clip(shares, 0, 1) * 255).astype(np.uint8))
    return cv2.applyColorMap(bytes_, cv2.COLORMAP_TURBO)[..., ::-1].reshape(*shares.shape, 3)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
