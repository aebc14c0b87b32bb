"""Camera matrices for a model that predicts points, not focal lengths."""

import numpy as np


def fitted_intrinsics(local_points: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
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
