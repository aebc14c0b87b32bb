"""A video's reconstruction, window after window: what is done lies on disk, and memory does not grow with the video's length."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np

from pipeline import storage
from trainer.inference.geometry import fit_intrinsics, inside_frames, move_prediction, trusted_points
from trainer.inference.joining import Joint, join_windows
from trainer.inference.prediction import PredictedTracks, Prediction
from trainer.inference.windows import Window

VISIBLE = 0.2  # from this score on a point counts as seen, in the public script
Item = TypeVar("Item")


class Spool:
    """Rows of one dtype and shape in a file without a name, which is gone when the process is."""

    def __init__(self, folder: str | None, dtype: str, shape: tuple[int, ...] = ()) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  open for as long as the reconstruction
        self.dtype, self.shape = np.dtype(dtype), shape
        self._row_bytes = self.dtype.itemsize * int(np.prod(shape))
        self._num_rows = 0

    def __len__(self) -> int:
        return self._num_rows

    def append(self, rows: np.ndarray) -> None:
        """Write rows "K ..." behind those that are there."""
        self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(rows, self.dtype).data)
        self._num_rows += len(rows)

    def read(self, first: int, count: int) -> np.ndarray:
        """A copy of so many rows from the first one on."""
        self._file.seek(first * self._row_bytes)
        return np.frombuffer(self._file.read(count * self._row_bytes), self.dtype).reshape(count, *self.shape).copy()

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _TrackSpan:
    """The tracks of one window, which live in its frames alone."""

    first: int  # frame in which they were asked for
    num_frames: int
    queries: np.ndarray  # float32 "n 2"
    column: int  # number of its first track among all
    row: int  # of its first point in the spools; frame by frame


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameTracks:
    """Tracks of one frame, of every window that holds it."""

    columns: np.ndarray  # int64 "n": their numbers
    world: np.ndarray  # float32 "n 3"
    camera: np.ndarray  # float32 "n 3"
    visibility_score: np.ndarray  # float32 "n"


class Reconstruction:
    """T frames of H x W pixels in one world: points, colours, cameras and tracks. Close it, or use it as a context manager.

    Attributes: folder for temporary files, None for the system's; size (H, W), from the first window on; num_frames; num_points, of the
    cloud; num_tracks; num_inside, tracks that lie within the image in some frame, through fitted cameras.
    """

    def __init__(self, out: str, *, least_confidence: float, visible: float = VISIBLE) -> None:
        """Begin an empty one.

        Args:
            out: folder or URL for the results; what is large is kept on the same disk until then, or in the system's folder for
                temporary files if it is a URL.
            least_confidence: of points of the cloud.
            visible: score from which a tracked point counts as seen.
        """
        self.folder = storage.absolute(out) if storage.is_local(out) else None
        if self.folder is not None:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
        self.least_confidence, self.visible = least_confidence, visible
        self.size = (0, 0)
        self.num_frames = self.num_points = self.num_tracks = self.num_inside = 0
        self._num_seen = self._num_scored = 0
        self._cameras: list[np.ndarray] = []
        self._found: list[np.ndarray] = []  # of each window whose cameras were solved: whether they were found
        self._intrinsics: list[np.ndarray] = []  # NaN in the frames of a window that no camera fits
        self._spans: list[_TrackSpan] = []
        self._files = ExitStack()
        self._spools: dict[str, Spool] = {}

    def __enter__(self) -> "Reconstruction":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._files.close()

    def append(self, prediction: Prediction, *, first: int) -> None:
        """Add a window.

        Frames that are there already stay as they are; the window's tracks are new ones.

        Args:
            prediction: of the frames from `first` on, in the joined world; `first` is at most `num_frames`.
        """
        if not self.num_frames:
            self._open(prediction)
        shared = self.num_frames - first
        depth, confidence = prediction.depth[shared:], prediction.confidence[shared:]
        shown = trusted_points(depth, confidence, least_confidence=self.least_confidence)
        self._spools["frames"].append(prediction.frames[shared:])
        self._spools["points"].append(prediction.points[shared:])
        self._spools["depth"].append(np.where(shown, depth, np.float32(0)))
        self.num_points += int(shown.sum())
        self._cameras += list(prediction.camera_to_world[shared:])
        self._found += [] if prediction.camera_found is None else [prediction.camera_found[shared:]]
        intrinsics = fit_intrinsics(prediction.local_points, prediction.confidence)
        lost = np.full((len(prediction.frames), 3, 3), np.nan, np.float32)
        self._intrinsics += list((lost if intrinsics is None else intrinsics)[shared:])
        if prediction.tracks is not None:
            self._append_tracks(prediction.tracks, intrinsics, first)
        self.num_frames += len(depth)

    @property
    def camera_to_world(self) -> np.ndarray:
        """float32 "T 4 4"."""
        return np.stack(self._cameras)

    @property
    def intrinsics(self) -> np.ndarray | None:
        """float32 "T 3 3", fitted to each frame's points; None if some frame's points fit no camera."""
        together = np.stack(self._intrinsics)
        return None if np.isnan(together).any() else together

    @property
    def camera_found(self) -> np.ndarray | None:
        """bool "T": False where no camera sees the predicted points, and the pose is that of its window's first frame; None for a model
        that predicts its cameras.
        """
        return np.concatenate(self._found) if self._found else None

    @property
    def seen_share(self) -> float:
        """Share of the tracks' points that are seen; 0 without tracks."""
        return self._num_seen / max(self._num_scored, 1)

    @property
    def queries(self) -> np.ndarray:
        """float32 "N 3": (t, x, y) of every track."""
        with_frame = [np.insert(span.queries, 0, span.first, axis=1) for span in self._spans]
        return np.concatenate([np.zeros((0, 3)), *with_frame]).astype(np.float32)

    def frames(self, first: int, count: int = 1) -> np.ndarray:
        """uint8 "count H W 3"."""
        return self._spools["frames"].read(first, count)

    def points(self, first: int, count: int = 1) -> np.ndarray:
        """float32 "count H W 3", in the world."""
        return self._spools["points"].read(first, count)

    def depth(self, first: int, count: int = 1) -> np.ndarray:
        """float32 "count H W", along z; 0 for points that are not in the cloud."""
        return self._spools["depth"].read(first, count)

    def tracks(self, frame: int) -> FrameTracks:
        """Tracks of the windows that hold a frame."""
        spans = [span for span in self._spans if span.first <= frame < span.first + span.num_frames]
        columns = [np.arange(span.column, span.column + len(span.queries)) for span in spans]
        places = [(span.row + (frame - span.first) * len(span.queries), len(span.queries)) for span in spans]
        read = lambda name: np.concatenate([self._spools[name].read(*place) for place in places])  # noqa: E731  binds the places
        if not spans:
            nothing = np.zeros((0, 3), np.float32)
            return FrameTracks(columns=np.zeros(0, np.int64), world=nothing, camera=nothing, visibility_score=nothing[:, 0])
        return FrameTracks(
            columns=np.concatenate(columns), world=read("world"), camera=read("camera"), visibility_score=read("visibility_score")
        )

    def _open(self, prediction: Prediction) -> None:
        self.size = (prediction.frames.shape[1], prediction.frames.shape[2])
        rows: dict[str, tuple[str, tuple[int, ...]]] = {
            "frames": ("uint8", (*self.size, 3)),
            "points": ("float32", (*self.size, 3)),
            "depth": ("float32", self.size),
            "world": ("float32", (3,)),
            "camera": ("float32", (3,)),
            "visibility_score": ("float32", ()),
        }
        for name, (dtype, shape) in rows.items():
            self._spools[name] = Spool(self.folder, dtype, shape)
            self._files.callback(self._spools[name].close)

    def _append_tracks(self, tracks: PredictedTracks, intrinsics: np.ndarray | None, first: int) -> None:
        num_frames, num_tracks = tracks.visibility_score.shape
        row = len(self._spools["world"])
        self._spans.append(_TrackSpan(first=first, num_frames=num_frames, queries=tracks.queries, column=self.num_tracks, row=row))
        for name in ("world", "camera", "visibility_score"):
            values = getattr(tracks, name)
            self._spools[name].append(values.reshape(num_frames * num_tracks, *values.shape[2:]))
        self.num_tracks += num_tracks
        self._num_seen += int((tracks.visibility_score >= self.visible).sum())
        self._num_scored += tracks.visibility_score.size
        if intrinsics is not None:
            self.num_inside += int(inside_frames(tracks.camera, intrinsics, self.size).any(axis=0).sum())


def reconstruct(
    windows: Iterable[Window[Item]], predict_window: Callable[[Window[Item]], Prediction], into: Reconstruction
) -> Iterator[Joint | None]:
    """Predict window after window, join each to those before, and keep the result on disk.

    Gives, after each window, where it was joined; None for the first one, whose world is that of the whole, untouched.

    Raises: DataError if a window cannot be joined; what `predict_window` raises.
    """
    before: Prediction | None = None
    for window in windows:
        prediction = predict_window(window)
        joint = None
        if before is not None:
            least = into.least_confidence
            joint = join_windows(before, prediction, shared=window.shared, first=window.first, least_confidence=least)
            prediction = move_prediction(prediction, joint.similarity)
        into.append(prediction, first=window.first)
        before = prediction
        yield joint
