"""Frames of a video or of a folder of images, at the size at which the model sees them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from networks.inputs import fitted_size
from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.video.images import decode_image
from pipeline.video.open import open_video, to_rgb
from trainer.inference import resize_frames

IMAGES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameChoice:
    """The choice of frames, and their size."""

    stride: int = 1  # stored frames from one chosen frame to the next
    at_most: int = 64  # from the beginning
    pixel_budget: int = 255_000

    def __post_init__(self) -> None:
        for name in ("stride", "at_most"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least 1")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InputFrames:
    """Frames as the model sees them."""

    frames: np.ndarray  # uint8 "T H W 3"
    times_s: np.ndarray  # float64 "T": since the first frame; of images, their number in the folder
    stored_size: tuple[int, int]  # (H, W) in the file
    is_video: bool
    all_taken: bool  # False: the input goes on


def read_frames(source: str, choice: FrameChoice, *, patch: int) -> InputFrames:
    """Decode, choose and resize.

    Args:
        patch: pixels of the model's patch: sides of the resized frames are multiples of it.
    Raises: ConfigError if there is no such input, or a folder holds no images; DataError if a frame does not read.
    """
    source = storage.absolute(source)
    is_video = not storage.is_directory(source)
    if is_video and not storage.exists(source):
        raise ConfigError(f"{source} is not there; give a video file, or a folder of images")
    frames: list[np.ndarray] = []
    times: list[float] = []
    all_taken, stored = True, (0, 0)
    for index, (time_s, picture, name) in enumerate(_video(source) if is_video else _images(source)):
        if index % choice.stride:
            continue
        if len(frames) == choice.at_most:
            all_taken = False
            break
        if not frames:
            stored = picture.shape[:2]
        elif picture.shape[:2] != stored:
            raise DataError(f"{name} is {_size(picture.shape[:2])}, expected {_size(stored)} as the first; give frames of one size")
        times.append(time_s)
        frames.append(resize_frames(picture[None], fitted_size(stored[1] / stored[0], choice.pixel_budget, patch=patch))[0])
    if not frames:
        raise DataError(f"{source}: no frame decodes; it is damaged or cut short: fetch it again")
    times_s = np.asarray(times, np.float64)
    return InputFrames(frames=np.stack(frames), times_s=times_s, stored_size=stored, is_video=is_video, all_taken=all_taken)


def _video(source: str) -> Iterator[tuple[float, np.ndarray, str]]:
    with open_video(source, source, threads=0) as (container, stream):
        first_s = None
        for index, frame in enumerate(container.decode(stream)):
            name = f"{source}: frame {index}"
            if frame.is_corrupt:
                raise DataError(f"{name} is damaged; fetch the video again, or end before it with --frames")
            if frame.pts is None:
                raise DataError(f"{name} has no timestamp; wrap the video again: ffmpeg -i IN -c copy OUT.mp4")
            time_s = float(frame.pts * frame.time_base)
            first_s = time_s if first_s is None else first_s
            yield time_s - first_s, to_rgb(frame), name


def _images(folder: str) -> Iterator[tuple[float, np.ndarray, str]]:
    """The images that lie in the folder itself, by name."""
    prefix = folder.rstrip("/")
    found = [uri for uri in storage.list_files(folder) if uri.rsplit("/", 1)[0] == prefix]
    images = [uri for uri in found if PurePosixPath(uri).suffix.lower() in IMAGES]
    if not images:
        raise ConfigError(
            f"{folder}: none of its {len(found)} files is an image ({', '.join(IMAGES)}); give a folder of frames, or a video"
        )
    for index, uri in enumerate(images):
        yield float(index), decode_image(storage.read_bytes(uri), uri), uri


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
