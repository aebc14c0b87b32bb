"""True tracks as sources give them, brought into one form."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.datasets.projection import camera_from_world
from pipeline.records.truth import TruthClip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SourceTracks:
    """N tracks over the T frames of a clip as a source gives them; anything may be NaN."""

    tracks2d: np.ndarray  # "T N 2", pixels, integer = pixel centre
    visible: np.ndarray  # bool "T N"
    valid: np.ndarray  # bool "T N"
    world: np.ndarray | None = None  # "T N 3", the source's world


def add_tracks(truth: TruthClip, tracks: SourceTracks) -> TruthClip:
    """The clip with the source's tracks. Coordinates that are not finite become 0 and are not valid; nothing is judged or dropped yet.

    Points in the camera follow from the world's by the clip's poses; in frames without a valid pose tracks are not valid.
    """
    valid = tracks.valid & np.isfinite(tracks.tracks2d).all(axis=-1)
    world = camera = None
    if tracks.world is not None:
        valid = valid & np.isfinite(tracks.world).all(axis=-1)
        world = np.where(np.isfinite(tracks.world), tracks.world, 0).astype(np.float32)
        if truth.camera_to_world is not None and truth.pose_valid is not None:
            camera = camera_from_world(np.where(np.isfinite(tracks.world), tracks.world, 0), truth.camera_to_world).astype(np.float32)
            valid = valid & truth.pose_valid[:, None]
    visible = tracks.visible & valid
    return replace(
        truth,
        tracks2d=np.where(np.isfinite(tracks.tracks2d), tracks.tracks2d, 0).astype(np.float32),
        tracks3d=camera,
        tracks3d_world=world,
        visibility=visible,
        track_valid=valid,
        query_frame=first_frame_of(visible),
        track_source="gt",
    )


def first_frame_of(visible: np.ndarray) -> np.ndarray:
    """int32 "N": the first frame in which each of the tracks "T N" is visible; 0 for one that never is."""
    return np.argmax(visible, axis=0).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class CentredTracks:
    """Tracks in our pixels, and their source's convention."""

    tracks2d: np.ndarray  # "T N 2", integer = pixel centre
    origin: Literal["corner", "centre"]  # corner: 0 was the image's edge


def to_pixel_centres(tracks2d: np.ndarray, projected: np.ndarray | None) -> CentredTracks:
    """Tracks of a source that is not known to count from the image's corner or from the first pixel's centre.

    Whichever of the two lies nearer to the projection of the 3D points is taken; without a projection, the corner.

    Args:
        tracks2d: "T N 2", as the source has them.
        projected: "T N 2", in pixels with integer = pixel centre; NaN where it says nothing.
    """
    from_corner = tracks2d - 0.5
    if projected is None:
        return CentredTracks(from_corner, "corner")
    errors = [np.linalg.norm(candidate - projected, axis=-1) for candidate in (from_corner, tracks2d)]
    known = np.isfinite(errors[0])
    if known.any() and np.median(errors[1][known]) < np.median(errors[0][known]):
        return CentredTracks(tracks2d, "centre")
    return CentredTracks(from_corner, "corner")
