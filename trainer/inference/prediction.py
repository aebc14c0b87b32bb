"""What a model says of one video, on the CPU."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.records.arrays import check_array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PredictedTracks:
    """N points of frame 0 followed through T frames; positions are predictions where a point is hidden."""

    queries: np.ndarray  # float32 "N 2", (x, y) in pixels of frame 0
    world: np.ndarray  # float32 "T N 3"
    camera: np.ndarray  # float32 "T N 3", in the camera of each frame
    visibility_score: np.ndarray  # float32 "T N" in [0, 1]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """Geometry of T frames of H x W pixels, in a world and a unit of length that the model chooses. Cameras are OpenCV's."""

    frames: np.ndarray  # uint8 "T H W 3", as the model saw them
    points: np.ndarray  # float32 "T H W 3", in the world
    local_points: np.ndarray  # float32 "T H W 3", in the camera of each frame
    confidence: np.ndarray  # float32 "T H W" in [0, 1]
    camera_to_world: np.ndarray  # float32 "T 4 4"
    tracks: PredictedTracks | None = None  # None if the model tracks nothing, or was not asked to

    def __post_init__(self) -> None:
        num_frames, height, width, _ = self.frames.shape
        image = (num_frames, height, width)
        shapes = {"points": (*image, 3), "local_points": (*image, 3), "confidence": image, "camera_to_world": (num_frames, 4, 4)}
        arrays = {name: (getattr(self, name), shape) for name, shape in shapes.items()}
        if self.tracks is not None:
            num_tracks = len(self.tracks.queries)
            arrays |= {name: (getattr(self.tracks, name), (num_frames, num_tracks, 3)) for name in ("world", "camera")}
            arrays |= {
                "queries": (self.tracks.queries, (num_tracks, 2)),
                "visibility_score": (self.tracks.visibility_score, (num_frames, num_tracks)),
            }
        for name, (array, shape) in arrays.items():
            check_array(f"predicted {name}", array, "float32", shape)
            if not np.isfinite(array).all():
                share = 1 - np.isfinite(array).mean()
                raise DataError(
                    f"the model's {name} hold NaN or infinity ({share:.1%} of the values); training may have diverged: take an earlier"
                    " checkpoint, or compute with --precision float32"
                )

    @property
    def depth(self) -> np.ndarray:
        """float32 "T H W": along z, in the model's unit."""
        return self.local_points[..., 2]
