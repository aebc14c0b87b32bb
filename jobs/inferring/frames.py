"""Frames of a video or of a folder of images, at the size at which the model sees them, read as they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from networks.inputs import fitted_size
from networks.weights import TrainingShape
from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.video.images import decode_image
from pipeline.video.open import open_video, to_rgb
from trainer.families import InferenceDefaults
from trainer.inference import WindowPlan, resize_frames

IMAGES = (".png", ".jpg", ".jpeg")
_LEAST_OVERLAP = 2
_MICROSECONDS = 1e6  # libav's unit of a container's duration


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameChoice:
    """The choice of frames, their size, and the windows that are reconstructed at once."""

    stride: int  # stored frames from one chosen frame to the next
    at_once: int  # chosen frames of a window
    overlap: int  # of which neighbouring windows share so many
    at_most: int | None  # chosen frames, from the beginning; None takes all
    pixel_budget: int  # of a frame, at most

    def __post_init__(self) -> None:
        for name, value in (
            ("--stride", self.stride),
            ("--frames", self.at_once),
            (("--limit", 1 if self.at_most is None else self.at_most)),
        ):
            if value < 1:
                raise ConfigError(f"{name} is {value}, expected at least 1")
        if self.at_once > 1 and not 1 <= self.overlap < self.at_once:
            raise ConfigError(
                f"--overlap is {self.overlap}, expected 1 to {self.at_once - 1}: windows of {self.at_once} frames are joined by what they"
                " share"
            )
        if self.at_once == 1 and self.at_most != 1:
            raise ConfigError("windows of 1 frame share none and cannot be joined; give --frames 2 or more, or --limit 1")

    @property
    def windows(self) -> WindowPlan:
        """Lengths of the windows."""
        return WindowPlan(length=self.at_once, overlap=0 if self.at_once == 1 else self.overlap)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRequest:
    """What was asked for; None: as the checkpoint was trained, or as its family's published inference does."""

    stride: int | None = None
    at_once: int | None = None
    overlap: int | None = None  # None: a quarter of the frames at once, at least 2
    at_most: int | None = None
    pixel_budget: int | None = None

    def resolve(self, trained_on: TrainingShape | None, published: InferenceDefaults, *, is_video: bool) -> FrameChoice:
        """Fill in what was not asked for.

        Of a video as many frames at once as the longest clips of training had, as large as the largest were, and as far apart as the
        nearest were. Images of a folder were chosen by somebody: all are taken.

        Raises: ConfigError for values that do not fit together.
        """
        if trained_on is None:
            stride, at_once, pixels = published.video_stride, published.frames, published.pixels
        else:
            stride, at_once, pixels = trained_on.strides[0], trained_on.frames[1], trained_on.pixels[1]
        at_once = at_once if self.at_once is None else self.at_once
        overlap = min(at_once - 1, max(_LEAST_OVERLAP, at_once // 4)) if self.overlap is None else self.overlap
        return FrameChoice(
            stride=(stride if is_video else 1) if self.stride is None else self.stride,
            at_once=at_once,
            overlap=overlap,
            at_most=self.at_most,
            pixel_budget=pixels if self.pixel_budget is None else self.pixel_budget,
        )


def find_input(source: str) -> bool:
    """Whether an input is a video; else it is a folder. Raises ConfigError if it is not there, or a folder holds no images."""
    source = storage.absolute(source)
    if storage.is_directory(source):
        _list_images(source)
        return False
    if not storage.exists(source):
        raise ConfigError(f"{source} is not there; give a video file, or a folder of images")
    return True


@dataclass(kw_only=True, slots=True)
class InputFrames:
    """Chosen frames of an input, in their order, decoded while they are walked through; what is found on the way is noted here."""

    source: str
    choice: FrameChoice
    patch: int  # pixels of the model's patch: sides of the frames are multiples of it
    is_video: bool
    stored_size: tuple[int, int] = field(default=(0, 0), init=False)  # (H, W) in the file; (0, 0) before the first frame
    times_s: list[float] = field(default_factory=list, init=False)  # of the frames so far, since the first; of images, their numbers
    all_taken: bool = field(default=True, init=False)  # False: the input goes on behind `at_most`

    def expected(self) -> int:
        """Number of frames as the file's header has it, which may err; for progress."""
        source = storage.absolute(self.source)
        if self.is_video:
            with open_video(source, source) as (container, stream):
                stored = _stated_frames(container, stream)
        else:
            stored = len(_list_images(source))
        chosen = -(-stored // self.choice.stride)
        return chosen if self.choice.at_most is None else min(chosen, self.choice.at_most)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames as the model sees them, uint8 "H W 3".

        Raises: DataError if a frame does not read, or is of another size than the first, or there is none.
        """
        source = storage.absolute(self.source)
        for index, (time_s, picture, name) in enumerate(_video(source) if self.is_video else _images(source)):
            if index % self.choice.stride:
                continue
            if len(self.times_s) == self.choice.at_most:
                self.all_taken = False
                return
            size = (picture.shape[0], picture.shape[1])
            if not self.times_s:
                self.stored_size = size
            elif size != self.stored_size:
                raise DataError(f"{name} is {_size(size)}, expected {_size(self.stored_size)} as the first; give frames of one size")
            self.times_s.append(time_s)
            fitted = fitted_size(size[1] / size[0], self.choice.pixel_budget, patch=self.patch)
            yield resize_frames(picture[None], fitted)[0]
        if not self.times_s:
            raise DataError(f"{source}: no frame decodes; it is damaged or cut short: fetch it again")


def _stated_frames(container: InputContainer, stream: VideoStream) -> int:
    if stream.frames:
        return int(stream.frames)
    seconds = (container.duration or 0) / _MICROSECONDS
    return max(round(seconds * float(stream.average_rate or 0)), 1)


def _video(source: str) -> Iterator[tuple[float, np.ndarray, str]]:
    with open_video(source, source, threads=0) as (container, stream):
        first_s = None
        for index, frame in enumerate(container.decode(stream)):
            name = f"{source}: frame {index}"
            if frame.is_corrupt:
                raise DataError(f"{name} is damaged; fetch the video again, or end before it with --limit")
            if frame.pts is None:
                raise DataError(f"{name} has no timestamp; wrap the video again: ffmpeg -i IN -c copy OUT.mp4")
            time_s = float(frame.pts * frame.time_base)
            first_s = time_s if first_s is None else first_s
            yield time_s - first_s, to_rgb(frame), name


def _images(folder: str) -> Iterator[tuple[float, np.ndarray, str]]:
    """The images that lie in the folder itself, by name."""
    for index, uri in enumerate(_list_images(folder)):
        yield float(index), decode_image(storage.read_bytes(uri), uri), uri


def _list_images(folder: str) -> list[str]:
    prefix = folder.rstrip("/")
    found = [uri for uri in storage.list_files(folder) if uri.rsplit("/", 1)[0] == prefix]
    images = [uri for uri in found if PurePosixPath(uri).suffix.lower() in IMAGES]
    if not images:
        raise ConfigError(
            f"{folder}: none of its {len(found)} files is an image ({', '.join(IMAGES)}); give a folder of frames, or a video"
        )
    return images


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
