"""Transforms of values when their image is resized, cropped or mirrored.

Integer coordinates are pixel centres: a scale s maps x to (x + 0.5) s - 0.5, a crop subtracts its corner, and a mirror maps x to
W - 1 - x. A mirror negates x in every camera and in the world: with M = diag(-1, 1, 1), points become M X, rotations M R M.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

Size = tuple[int, int]  # (height, width)
Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = get_args(Fit)

_MIRROR = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """A rectangle of whole pixels. It may reach beyond the image: what is there is 0 in frames and maps."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Framing:
    """An image at another size, and the rectangle of it that is delivered."""

    scaled: Size
    rectangle: Crop  # of the scaled image

    @property
    def is_whole(self) -> bool:
        """Whether the rectangle is the scaled image itself."""
        height, width = self.scaled
        return self.rectangle == Crop(left=0, top=0, width=width, height=height)

    @property
    def picture(self) -> Crop:
        """The part of the delivered pixels that shows the image."""
        top, bottom = _overlap(-self.rectangle.top, self.scaled[0], self.rectangle.height)
        left, right = _overlap(-self.rectangle.left, self.scaled[1], self.rectangle.width)
        return Crop(left=left, top=top, width=right - left, height=bottom - top)


def framing_of(stored: Size, size: Size, fit: Fit) -> Framing:
    """The way of an image to a size.

    `crop` scales it to cover the size and delivers the centre; `pad` scales it to lie within the size and delivers it in the middle of
    nothing; `stretch` scales each axis by itself. With the first two one side fits exactly and the other is rounded, so that proportions
    stay within half a pixel of a side. A margin that cannot be halved is one pixel larger to the right, or below.

    Args:
        stored, size: (H, W) of the image and of what is delivered.
    """
    scaled = size if fit == "stretch" else _proportional_size(stored, size, covers=fit == "crop")
    top, left = (int((have - want) / 2) for have, want in zip(scaled, size, strict=True))
    return Framing(scaled=scaled, rectangle=Crop(left=left, top=top, width=size[1], height=size[0]))


def _proportional_size(stored: Size, size: Size, *, covers: bool) -> Size:
    (old_height, old_width), (height, width) = stored, size
    height_decides = (height * old_width > width * old_height) == covers
    if height_decides:
        return height, _rounded(old_width * height, old_height)
    return _rounded(old_height * width, old_width), width


def _rounded(dividend: int, divisor: int) -> int:
    """Their quotient as whole pixels, at least 1; halves are rounded up."""
    return max((2 * dividend + divisor) // (2 * divisor), 1)


def _overlap(start: int, length: int, limit: int) -> tuple[int, int]:
    """Ends of the part of [start, start + length) that lies within [0, limit); equal if there is none."""
    first = max(start, 0)
    return first, max(min(start + length, limit), first)


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelRule:
    """Transforms of one kind of values with their image. The functions return new arrays or views; their inputs stay untouched."""

    resize: Callable[[np.ndarray, Size, Size], np.ndarray]  # (values, from_size, to_size)
    crop: Callable[[np.ndarray, Crop], np.ndarray]
    mirror: Callable[[np.ndarray, int], np.ndarray]  # (values, width of the image)


def resize_frames(frames: np.ndarray, to_size: Size) -> np.ndarray:
    """Frames uint8 "T H W 3" at another size: colours are averaged where both sides shrink, else interpolated."""
    height, width = to_size
    shrinks = frames.shape[1] >= height and frames.shape[2] >= width
    resized = np.empty((len(frames), height, width, 3), np.uint8)
    for frame, target in zip(frames, resized, strict=True):
        cv2.resize(frame, (width, height), dst=target, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized


def resize_nearest(maps: np.ndarray, to_size: Size) -> np.ndarray:
    """Depth and masks take the stored pixel on which a new pixel's centre falls.

    No value is mixed across an edge, and depth that is invalid (0) stays invalid and spreads to no other pixel.

    Args:
        maps: "T H W ...".
    Returns: the same dtype, "T H' W' ...".
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for old, new in zip(maps.shape[1:3], to_size, strict=True)
    )  # floor of the continuous position counted from the image's edge
    return maps[:, rows[:, None], columns]


def crop_maps(maps: np.ndarray, crop: Crop) -> np.ndarray:
    """The rectangle of frames or maps "T H W ...": a view, or a copy with 0 where it reaches beyond the image."""
    top, bottom = _overlap(crop.top, crop.height, maps.shape[1])
    left, right = _overlap(crop.left, crop.width, maps.shape[2])
    inside = maps[:, top:bottom, left:right]
    if inside.shape[1:3] == (crop.height, crop.width):
        return inside
    padded = np.zeros((len(maps), crop.height, crop.width, *maps.shape[3:]), maps.dtype)
    padded[:, top - crop.top : bottom - crop.top, left - crop.left : right - crop.left] = inside
    return padded


def mirror_maps(maps: np.ndarray, width: int) -> np.ndarray:
    """Frames or maps "T H W ..." with left and right exchanged."""
    return np.ascontiguousarray(maps[:, :, ::-1])


def resize_flow(flow: np.ndarray, from_size: Size, to_size: Size) -> np.ndarray:
    """Flow of the resized images, float32 "T H' W' 2": of the stored pixel on which a new one's centre falls, in new pixels.

    Args:
        flow: "T H W 2", (u, v) in pixels.
    """
    return (resize_nearest(flow, to_size) * _scale(from_size, to_size)).astype(np.float32)


def mirror_flow(flow: np.ndarray, width: int) -> np.ndarray:
    """Flow "T H W 2" of the mirrored images: left and right exchanged, u negated."""
    return mirror_maps(flow, width) * np.array([-1, 1], np.float32)


def lies_within(points_px: np.ndarray, rectangle: Crop) -> np.ndarray:
    """Whether points "... 2" lie on a rectangle, its outermost half pixels included: bool "..."."""
    x, y = points_px[..., 0] - rectangle.left, points_px[..., 1] - rectangle.top
    return (x >= -0.5) & (x <= rectangle.width - 0.5) & (y >= -0.5) & (y <= rectangle.height - 0.5)


def resize_points(points_px: np.ndarray, from_size: Size, to_size: Size) -> np.ndarray:
    """Move points with their image.

    Args:
        points_px: "... 2", (x, y).
        from_size, to_size: (H, W); the two axes scale apart.
    Returns: float32 "... 2".
    """
    scale = _scale(from_size, to_size)
    return ((points_px.astype(np.float64) + 0.5) * scale - 0.5).astype(np.float32)


def crop_points(points_px: np.ndarray, crop: Crop) -> np.ndarray:
    """Points "... 2" in pixels of the rectangle; they may lie outside of it."""
    return points_px - _corner(crop)


def mirror_points(points_px: np.ndarray, width: int) -> np.ndarray:
    """Points "... 2" of the mirrored image."""
    return np.stack([width - 1 - points_px[..., 0], points_px[..., 1]], -1)


def resize_intrinsics(intrinsics: np.ndarray, from_size: Size, to_size: Size) -> np.ndarray:
    """Camera matrices of the resized image: focal lengths (and skew) scale with their axis, the principal point as a point does.

    Args:
        intrinsics: "T 3 3", pixels.
    Returns: float32 "T 3 3".
    """
    scale = _scale(from_size, to_size)
    resized = intrinsics.astype(np.float64)
    resized[:, :2, :2] *= scale[:, None]
    resized[:, :2, 2] = (resized[:, :2, 2] + 0.5) * scale - 0.5
    return resized.astype(np.float32)


def crop_intrinsics(intrinsics: np.ndarray, crop: Crop) -> np.ndarray:
    """Camera matrices "T 3 3" of the rectangle: the principal point moves as a point does."""
    cropped = intrinsics.copy()
    cropped[:, :2, 2] -= _corner(crop)
    return cropped


def mirror_intrinsics(intrinsics: np.ndarray, width: int) -> np.ndarray:
    """Camera matrices "T 3 3" of the mirrored image: skew is negated, the principal point moves as a point does."""
    mirrored = intrinsics.copy()
    mirrored[:, 0, 1] *= -1
    mirrored[:, 0, 2] = width - 1 - mirrored[:, 0, 2]
    return mirrored


def mirror_points3d(points: np.ndarray, width: int) -> np.ndarray:
    """Points "... 3" of the mirrored cameras, or of the mirrored world."""
    return points @ _MIRROR


def mirror_poses(camera_to_world: np.ndarray, width: int) -> np.ndarray:
    """Rigid poses "T 4 4" of the mirrored cameras in the mirrored world."""
    mirrored = camera_to_world.copy()
    mirrored[:, :3, :3] = _MIRROR @ mirrored[:, :3, :3] @ _MIRROR
    mirrored[:, :3, 3] = mirrored[:, :3, 3] @ _MIRROR
    return mirrored


def _scale(from_size: Size, to_size: Size) -> np.ndarray:
    return np.array([to_size[1] / from_size[1], to_size[0] / from_size[0]])


def _corner(crop: Crop) -> np.ndarray:
    return np.array([crop.left, crop.top], np.float32)


def _same_size(values: np.ndarray, from_size: Size, to_size: Size) -> np.ndarray:
    return values


def _same_crop(values: np.ndarray, crop: Crop) -> np.ndarray:
    return values


def _same_mirror(values: np.ndarray, width: int) -> np.ndarray:
    return values


FIXED = PixelRule(resize=_same_size, crop=_same_crop, mirror=_same_mirror)  # values of a frame, a track or a point, whatever the image
FRAMES = PixelRule(resize=lambda frames, _, size: resize_frames(frames, size), crop=crop_maps, mirror=mirror_maps)
MAPS = PixelRule(resize=lambda maps, _, size: resize_nearest(maps, size), crop=crop_maps, mirror=mirror_maps)
FLOW = PixelRule(resize=resize_flow, crop=crop_maps, mirror=mirror_flow)
IMAGE_MASKS = PixelRule(  # "H W", the same in all frames
    resize=lambda mask, _, size: resize_nearest(mask[None], size)[0],
    crop=lambda mask, crop: crop_maps(mask[None], crop)[0],
    mirror=lambda mask, width: mirror_maps(mask[None], width)[0],
)
POINTS_PX = PixelRule(resize=resize_points, crop=crop_points, mirror=mirror_points)
INTRINSICS = PixelRule(resize=resize_intrinsics, crop=crop_intrinsics, mirror=mirror_intrinsics)
POINTS_3D = PixelRule(resize=_same_size, crop=_same_crop, mirror=mirror_points3d)
POSES = PixelRule(resize=_same_size, crop=_same_crop, mirror=mirror_poses)
