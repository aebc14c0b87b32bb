"""Options of the Track4World engine, and the windows that a clip is cut into."""

from dataclasses import dataclass
from typing import Literal, get_args

from labelers.options import check_choice, check_count, check_number
from networks.layers.computing import PRECISIONS, Precision
from pipeline.errors import DataError

LaterWindows = Literal["hold", "restart"]
ITERATIONS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineConfig:
    """Options of the engine; `pairs_at_once` and `precision` change results by rounding alone."""

    iterations: int = ITERATIONS
    precision: Precision = "float32"  # bfloat16: autocast; flows, coordinates, correlations and upsampling stay float32
    window: int | None = None  # targets at once, even; None for the length of the network's time table
    later_windows: LaterWindows = (
        "hold"  # second half of a later window from the last known flow; "restart": from no motion, and written anew
    )
    pairs_at_once: int = 12
    pixel_offset: float = 0.5  # of a target pixel's centre in the lifting to 3D; the public code has 0, half a pixel beside its points

    def __post_init__(self) -> None:
        check_count("iterations", self.iterations, minimum=1)
        check_choice("precision", self.precision, PRECISIONS)
        if self.window is not None:
            check_count("window", self.window, minimum=2)
        check_choice("later_windows", self.later_windows, get_args(LaterWindows))
        check_count("pairs_at_once", self.pairs_at_once, minimum=1)
        check_number("pixel_offset", self.pixel_offset, minimum=0.0, maximum=0.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowPlan:
    """Windows of `length` frames, each half a window after the one before, over a clip and copies of its last frame."""

    num_frames: int
    length: int  # S
    starts: tuple[int, ...]

    @property
    def num_copies(self) -> int:
        """Copies of the last frame that the last window needs."""
        return max(0, self.starts[-1] + self.length - self.num_frames)

    @property
    def step(self) -> int:
        """Frames from one window's start to the next's."""
        return self.length // 2

    def new_frames(self, index: int) -> slice:
        """Targets of a window, by their places in it, that no earlier window had."""
        return slice(0 if index == 0 else self.length - self.step, self.length)


def plan_windows(num_frames: int, window: int) -> WindowPlan:
    """Windows over a clip of more than two frames; a clip shorter than a window is filled up by copies of its last frame.

    Raises: DataError for one of two frames or less, which has no windows.
    """
    if num_frames < 3:
        raise DataError(f"a clip of {num_frames} frames has no windows; 3 or more are needed")
    step, starts = window // 2, [0]
    while starts[-1] + window < num_frames:
        starts.append(starts[-1] + step)
    return WindowPlan(num_frames=num_frames, length=window, starts=tuple(starts))
