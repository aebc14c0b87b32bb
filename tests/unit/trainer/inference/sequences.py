"""Made-up reconstructions: a camera that walks past a random relief, and the same seen in windows with worlds of their own."""

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.metrics.similarity import Similarity
from trainer.inference import PredictedTracks, Prediction, Window
from trainer.inference.geometry import move_prediction

H, W, FOCAL = 12, 16, 20.0


def rays() -> np.ndarray:
    """ "H W 3", through the pixels' centres."""
    y, x = np.mgrid[:H, :W]
    return np.stack([(x - (W - 1) / 2) / FOCAL, (y - (H - 1) / 2) / FOCAL, np.ones((H, W))], axis=-1)


def walk(num_frames: int, *, num_tracks: int = 5, seed: int = 0) -> Prediction:
    """A reconstruction whose points, cameras and tracks agree to rounding; track n of frame t is the point of pixel (n, n)."""
    rng = np.random.default_rng(seed)
    local = (rays() * rng.uniform(2, 5, (num_frames, 1, 1, 1)) * rng.uniform(0.98, 1, (num_frames, H, W, 1))).astype(np.float32)
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("yx", np.stack([np.linspace(0, 1, num_frames), rng.normal(0, 0.1, num_frames)], 1)).as_matrix()
    poses[:, :3, 3] = np.stack([np.linspace(0, 3, num_frames), rng.normal(0, 0.1, num_frames), rng.normal(0, 0.1, num_frames)], 1)
    points = np.einsum("tij,thwj->thwi", poses[:, :3, :3], local) + poses[:, None, None, :3, 3]
    places = np.arange(num_tracks)
    score = rng.uniform(0, 1, (num_frames, num_tracks)).astype(np.float32)
    return Prediction(
        frames=rng.integers(0, 256, (num_frames, H, W, 3), dtype=np.uint8),
        points=points.astype(np.float32),
        local_points=local,
        confidence=rng.uniform(0.5, 1, (num_frames, H, W)).astype(np.float32),
        camera_to_world=poses.astype(np.float32),
        tracks=PredictedTracks(
            queries=np.stack([places, places], 1).astype(np.float32),
            world=points[:, places, places].astype(np.float32),
            camera=local[:, places, places],
            visibility_score=score,
        ),
    )


def part(whole: Prediction, first: int, count: int) -> Prediction:
    """Some frames of a reconstruction that follow each other."""
    span, tracks = slice(first, first + count), whole.tracks
    assert tracks is not None
    return Prediction(
        frames=whole.frames[span],
        points=whole.points[span],
        local_points=whole.local_points[span],
        confidence=whole.confidence[span],
        camera_to_world=whole.camera_to_world[span],
        tracks=PredictedTracks(
            queries=tracks.queries,
            world=tracks.world[span],
            camera=tracks.camera[span],
            visibility_score=tracks.visibility_score[span],
        ),
    )


def random_similarity(rng: np.random.Generator) -> Similarity:
    """Any turn, a shift of several units, a scale from 0.3 to 3."""
    rotation = Rotation.random(random_state=rng).as_matrix()
    return Similarity(rotation=rotation, translation=rng.normal(0, 5, 3), scale=float(np.exp(rng.uniform(-1.1, 1.1))))


def window_by_window(whole: Prediction, *, seed: int = 1) -> Callable[[Window[int]], Prediction]:
    """A model that knows a reconstruction, and gives windows of it (of frame numbers) in worlds of their own; the first in the true one."""
    rng = np.random.default_rng(seed)

    def predict(window: Window[int]) -> Prediction:
        seen = part(whole, window.first, len(window.items))
        return move_prediction(seen, random_similarity(rng)) if window.first else seen

    return predict
