"""One clip as a step takes it, in few bytes: workers make it, batches are put together from it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedTruth:
    """What is known of T frames and N tracks; made finite, and checked."""

    depth: Tensor  # float32 "T H W", 0 = invalid
    intrinsics: Tensor  # float32 "T 3 3"
    camera_to_world: Tensor  # float32 "T 4 4"; the identity where not valid
    pose_valid: Tensor  # bool "T"
    sky_mask: Tensor | None  # bool "T H W"
    tracks3d_world: Tensor  # float32 "T N 3", NaN where not known
    visibility: Tensor  # bool "T N": known, and seen within the image


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedClip:
    """T frames of H x W pixels with N tracks, asked in frame 0."""

    key: str
    dataset: str
    license: str | None
    index: int  # in its dataset's sequence
    is_metric: bool
    images: Tensor  # uint8 "T H W 3"
    tracks_px: Tensor  # float32 "T N 2"
    frame_weights: Tensor  # float32 "T N"
    static_score: Tensor | None = None  # float32 "N"
    pose_weight: Tensor | None = None  # float32 "T"
    truth: PreparedTruth | None = None
