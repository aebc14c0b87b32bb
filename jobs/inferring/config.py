"""Options of jobs/infer.py, and the names of the files that it writes."""

from dataclasses import dataclass

from jobs.inferring.frames import FrameRequest
from networks.layers.computing import FORWARD_PRECISIONS
from pipeline.errors import ConfigError

ARRAYS, TRACKS, CLOUD, TRAJECTORY, PREVIEW, RECORDING, COLMAP, DOCUMENT = (
    "predictions.npz",
    "tracks.npz",
    "points.ply",
    "poses.txt",
    "preview.png",
    "recording.rrd",
    "colmap",
    "inference.json",
)
DENSE_TRACKS, DENSE_TABLE, TRAJECTORIES = "dense_tracks.npz", "dense_tracks.parquet", "trajectories.ply"
GRID_PX = 20
EVERY_PX = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseRequest:
    """Dense tracks of Track4World; None: not asked for, so that another model is not asked in vain."""

    every_px: int | None = None  # between tracked pixels, at the model's size
    reference: int | None = None  # frame whose pixels are tracked to all frames; None chains from frame to frame
    round_trip_px: float | None = None  # by which a step of a chain may miss its start, there and back; None: no check
    table: bool = False  # a Parquet table too

    def __post_init__(self) -> None:
        if self.every_px is not None and self.every_px < 1:
            raise ConfigError(f"--every is {self.every_px}, expected a distance of 1 pixel or more")
        if self.reference is not None and self.reference < 0:
            raise ConfigError(f"--reference is {self.reference}, expected the number of a frame, 0 or more")
        if self.round_trip_px is not None and not 0 < self.round_trip_px < float("inf"):
            raise ConfigError(f"--round-trip is {self.round_trip_px}, expected a number of pixels above 0")
        if self.reference is not None and self.round_trip_px is not None:
            raise ConfigError("--round-trip checks the steps of chained tracks, and --reference chains none; give one of the two")

    def refuse(self, model: str) -> None:
        """Raise ConfigError where any of it was asked of a model that has no dense tracks."""
        given = {
            "--every": self.every_px,
            "--reference": self.reference,
            "--round-trip": self.round_trip_px,
            "--parquet": self.table or None,
        }
        asked = [option for option, value in given.items() if value is not None]
        if asked:
            raise ConfigError(
                f"{', '.join(asked)}: dense tracks are Track4World's, and the checkpoint is of {model}; leave it out, or give --grid"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceConfig:
    """All that jobs/infer.py is asked for."""

    source: str  # a video, or a folder of images
    checkpoint: str
    out: str
    reconstruction: str | None = None  # St4RTrack: weights of points and cameras, where the checkpoint's tracks alone were adapted
    request: FrameRequest = FrameRequest()
    grid_px: int | None = None  # between the tracked points of a window's first frame, at the model's size; 0: none; None: GRID_PX
    dense: DenseRequest = DenseRequest()
    least_confidence: float = 0.1  # of points in the cloud, and of points by which windows are joined
    visible: float | None = None  # score from which a tracked point counts as seen; None: as the model's publication has it
    rerun: bool = False
    colmap: bool = False
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.precision not in ("auto", *FORWARD_PRECISIONS):
            raise ConfigError(f"--precision is {self.precision!r}, expected auto, {', '.join(FORWARD_PRECISIONS)}")
        if self.grid_px is not None and self.grid_px < 0:
            raise ConfigError(f"--grid is {self.grid_px}, expected a distance in pixels, or 0 for no tracks")
        for name, value in (("--min-confidence", self.least_confidence), ("--visible", self.visible)):
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}, expected a number from 0 to 1")
