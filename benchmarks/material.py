"""Videos to measure on, made once: no file of anyone's is needed."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np

Clock = Callable[[], float]


def make_videos(
    folder: Path, *, count: int = 4, num_frames: int = 480, size: tuple[int, int] = (720, 1280), key_every: int = 48
) -> list[Path]:
    """H.264 videos of a textured picture that drifts and turns, with B-frames; kept in `folder` between runs."""
    height, width = size
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{width}x{height}-{num_frames}-{key_every}-{number}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            options = {"preset": "veryfast", "crf": "23", "bf": "2", "g": str(key_every)}
            _write(path, number, num_frames, (height, width), "libx264", options)
    return paths


def _write(path: Path, seed: int, num_frames: int, size: tuple[int, int], codec: str, options: dict[str, str]) -> None:
    height, width = size
    rng = np.random.default_rng(seed)
    coarse, fine = (cv2.resize(rng.random((height // step, width // step, 3), np.float32), (width * 2, height * 2)) for step in (32, 4))
    picture = np.uint8(255 * (0.6 * coarse + 0.4 * fine))
    import av  # here: who writes no video need not have it

    temporary = path.with_suffix(".part.mp4")
    with av.open(str(temporary), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(num_frames):
            turn = cv2.getRotationMatrix2D((width, height), 0.1 * index, 1.0)
            turn[:, 2] -= (width / 2 + 1.5 * index % width, height / 2)
            shown = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    temporary.replace(path)


def make_hevc(folder: Path, *, num_frames: int = 600, size: tuple[int, int] = (360, 640), key_every: int = 240) -> Path:
    """An HEVC video with open groups of pictures, as long-range capture datasets publish them; kept in `folder` between runs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"hevc-{size[1]}x{size[0]}-{num_frames}-{key_every}.mp4"
    if not path.exists():
        keys = f"keyint={key_every}:min-keyint={key_every}:open-gop=1:scenecut=0"
        _write(path, 0, num_frames, size, "libx265", {"preset": "veryfast", "x265-params": f"{keys}:bframes=4:log-level=error"})
    return path


def paired(
    first: Callable[[], None], second: Callable[[], None], *, repeats: int = 5, warm_up: bool = True, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Seconds (by `clock`) of two things run in turn, after a warm-up of each: medians, spread, and the median of the pairwise ratios."""
    if warm_up:
        first(), second()
    pairs = paired_seconds(first, second, repeats=repeats, clock=clock)
    ours, theirs = ([pair[place] for pair in pairs] for place in (0, 1))
    ratios = [theirs_s / ours_s for ours_s, theirs_s in pairs]
    return {
        "ours_s": round(statistics.median(ours), 4),
        "theirs_s": round(statistics.median(theirs), 4),
        "speed_of_ours_over_theirs": round(statistics.median(ratios), 3),
        "lowest_ratio": round(min(ratios), 3),
        "highest_ratio": round(max(ratios), 3),
        "repeats": repeats,
    }


def paired_seconds(
    first: Callable[[], object], second: Callable[[], object], *, repeats: int, clock: Clock = time.perf_counter
) -> list[tuple[float, float]]:
    """Seconds (by `clock`) of two things run in turn."""
    return [(_seconds(first, clock), _seconds(second, clock)) for _ in range(repeats)]


def _seconds(body: Callable[[], object], clock: Clock) -> float:
    started = clock()
    body()
    return clock() - started


def machine() -> dict[str, object]:
    """Where and with what the figures were taken."""
    packages = ("av", "numpy", "opencv-python-headless", "pyarrow", "ray", "webdataset")
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: _version_or_none(name) for name in packages},
    }


def _version_or_none(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
