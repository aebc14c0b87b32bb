"""Geometry of one prediction: pixels to trust, the cameras that its points fit, tracks in the picture, and a change of world."""

from dataclasses import replace

import cv2
import numpy as np

from pipeline.metrics.similarity import Similarity
from trainer.inference.prediction import Prediction

EDGE = 0.03  # of the depth


def trusted_points(depth: np.ndarray, confidence: np.ndarray, *, least_confidence: float, edge: float = EDGE) -> np.ndarray:
    """Pixels that the model is sure of, and that lie on no edge between near and far: there points hang in the air.

    Args:
        depth: float32 "T H W", along z.
        confidence: "T H W" in [0, 1].
        edge: a pixel lies on one where depth differs by a larger share of it within the pixel and its eight neighbours.
    Returns: bool "T H W".
    """
    window = np.ones((3, 3), np.uint8)
    contrast = np.stack([cv2.dilate(frame, window) - cv2.erode(frame, window) for frame in depth])
    return np.asarray((confidence >= least_confidence) & (contrast <= edge * depth))


def fit_intrinsics(local_points: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Pinhole cameras under which the points of each frame fall nearest to their own pixels; the centre is the image's.

    The error is measured along rays (x/z against (u - c)/f), so that 1/f has a closed form; far points count like near ones.

    Args:
        local_points: "T H W 3", in the camera of each frame, z > 0.
        weights: "T H W", not negative, such as confidence.
    Returns: float32 "T 3 3", pixels (integer = pixel centre); None if in some frame points do not spread to the right and down as pixels
        do, so that no camera sees them so (the model is untrained, or has failed).
    """
    num_frames, height, width, _ = local_points.shape
    intrinsics = np.tile(np.eye(3, dtype=np.float32), (num_frames, 1, 1))
    for axis, (length, shape) in enumerate(((width, (1, 1, width)), (height, (1, height, 1)))):
        offset = np.broadcast_to((np.arange(length) - (length - 1) / 2).reshape(shape), weights.shape)  # u - c
        slope = local_points[..., axis].astype(np.float64) / local_points[..., 2]
        spread = (weights * offset * slope).sum(axis=(1, 2))
        if not (spread > 0).all():
            return None
        intrinsics[:, axis, axis] = (weights * np.square(offset)).sum(axis=(1, 2)) / spread
        intrinsics[:, axis, 2] = (length - 1) / 2
    return intrinsics


def inside_frames(points: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether points "T N 3", each in the camera of its frame, lie in front of it and within its image: bool "T N".

    Args:
        intrinsics: "T 3 3", without skew; integer pixels are centres.
        size: (H, W); the image covers [-0.5, W-0.5] x [-0.5, H-0.5].
    """
    depth = points[..., 2].astype(np.float64)
    front = depth > 0
    pixels = points[..., :2] / np.where(front, depth, 1)[..., None] * intrinsics[:, None, [0, 1], [0, 1]] + intrinsics[:, None, :2, 2]
    within = (pixels >= -0.5) & (pixels <= np.array([size[1], size[0]]) - 0.5)
    return np.asarray(front & within.all(axis=-1))


def move_prediction(prediction: Prediction, similarity: Similarity) -> Prediction:
    """The same prediction in another world: points, cameras and tracks are moved, and what is in a camera's frame is scaled.

    Every point stays in the same pixel of the same camera: points are still the cameras times the local points.

    Args:
        similarity: from the prediction's world to the other.
    """
    factor = np.float32(similarity.scale)
    cameras = prediction.camera_to_world.astype(np.float64)
    cameras[:, :3, :3] = similarity.rotation @ cameras[:, :3, :3]
    cameras[:, :3, 3] = similarity.apply(cameras[:, :3, 3])
    tracks = prediction.tracks
    if tracks is not None:
        tracks = replace(tracks, world=similarity.apply(tracks.world).astype(np.float32), camera=tracks.camera * factor)
    return replace(
        prediction,
        points=np.stack([similarity.apply(frame).astype(np.float32) for frame in prediction.points]),
        local_points=prediction.local_points * factor,
        camera_to_world=cameras.astype(np.float32),
        tracks=tracks,
    )
