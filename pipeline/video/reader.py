"""Reading a stored clip: exactly the frames that its record names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from pipeline.errors import DataError
from pipeline.records import ClipRecord
from pipeline.records.pixel_transforms import Crop, crop_maps
from pipeline.video.images import decode_image
from pipeline.video.open import open_video, to_rgb, upright_size

VideoData = bytes | tuple[bytes, ...]  # one video file, or one image file per frame


def read_clip_frames(
    data: VideoData,
    record: ClipRecord,
    *,
    indices: Sequence[int] | None = None,
    size: tuple[int, int] | None = None,
    crop: Crop | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Decode a clip's stored video to RGB.

    Args:
        data: bytes of the video member, or the clip's image files: of those only the wanted ones are decoded.
        indices: frames of the clip to keep, increasing; all by default. Decoding ends with the last of them.
        size: (H, W) to resize to; the stored size by default.
        crop: rectangle of the resized picture to keep, black where it reaches beyond; all of it by default.
    Returns: uint8 "K H W 3".
    Raises: DataError if the video does not hold the frames that the record promises, or does not decode.
    """
    wanted = list(range(record.frames)) if indices is None else list(indices)
    if not wanted or wanted != sorted(set(wanted)) or wanted[0] < 0 or wanted[-1] >= record.frames:
        raise DataError(f"clip {record.key}: frames {wanted} asked for, expected increasing indices below {record.frames}")
    height, width = (crop.height, crop.width) if crop is not None else size or (record.height, record.width)
    frames, place = np.empty((len(wanted), height, width, 3), np.uint8), 0
    if not isinstance(data, bytes):
        for place, frame in enumerate(_decode_images(data, record, wanted)):
            frames[place] = _shown(frame, size, crop)
        return frames
    for index, frame in enumerate(decode_clip(data, record, last=wanted[-1], threads=threads)):
        if index == wanted[place]:
            frames[place] = _shown(frame, size, crop)
            place += 1
    return frames


def _shown(frame: VideoFrame, size: tuple[int, int] | None, crop: Crop | None) -> np.ndarray:
    picture = to_rgb(frame, size)
    return picture if crop is None else crop_maps(picture[None], crop)[0]


def decode_clip(data: VideoData, record: ClipRecord, *, last: int | None = None, threads: int = 1) -> Iterator[VideoFrame]:
    """Yield the clip's frames in order, up to index `last`, each checked against the record's size and, of a video, timestamps.

    Frames after the recorded count, which a copied clip may carry because others refer to them, are not shown.
    Raises: DataError.
    """
    end = record.frames if last is None else last + 1
    if not isinstance(data, bytes):
        yield from _decode_images(data, record, range(end))
        return
    times = np.asarray(record.timestamps) - record.timestamps[0]
    tolerance = 0.5 * float(np.diff(times).min()) if record.frames > 1 else np.inf
    with open_video(data, f"clip {record.key}", threads=threads) as (container, stream):
        first_s, count = None, 0
        for frame in container.decode(stream):
            time_s = float(frame.pts * frame.time_base) if frame.pts is not None else np.nan
            first_s = time_s if first_s is None else first_s
            if not abs(time_s - first_s - times[count]) <= tolerance and record.frames > 1:
                raise DataError(
                    f"clip {record.key}: frame {count} lies at {time_s - first_s:.4f} s, expected {times[count]:.4f} s; {_REMEDY}"
                )
            if upright_size(frame) != (record.width, record.height) or frame.is_corrupt:
                found = "damaged" if frame.is_corrupt else "{}x{}".format(*upright_size(frame))
                raise DataError(f"clip {record.key}: frame {count} is {found}, expected {record.width}x{record.height}; {_REMEDY}")
            yield frame
            count += 1
            if count == end:
                return
    raise DataError(f"clip {record.key}: {count} frames decode, expected {record.frames}; {_REMEDY}")


def _decode_images(images: Sequence[bytes], record: ClipRecord, indices: Sequence[int]) -> Iterator[VideoFrame]:
    if len(images) != record.frames:
        raise DataError(f"clip {record.key}: {len(images)} image files for {record.frames} frames; {_REMEDY}")
    for index in indices:
        picture = decode_image(images[index], f"clip {record.key}: frame {index}")
        if picture.shape[:2] != (record.height, record.width):
            found = f"{picture.shape[1]}x{picture.shape[0]}"
            raise DataError(f"clip {record.key}: frame {index} is {found}, expected {record.width}x{record.height}; {_REMEDY}")
        yield VideoFrame.from_ndarray(picture, format="rgb24")


_REMEDY = "the stored video is damaged or was replaced: make the dataset again into a new root"


@dataclass(frozen=True, slots=True, eq=False)
class StoredClip:
    """A FrameReader over a clip's encoded bytes: each pass decodes anew, so that memory does not grow with length."""

    data: VideoData
    record: ClipRecord
    threads: int = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return self.record.frames, self.record.height, self.record.width

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame in decode_clip(self.data, self.record, threads=self.threads):
            yield to_rgb(frame)
