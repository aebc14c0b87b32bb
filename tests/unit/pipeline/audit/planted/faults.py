"""Faults as labelers make them, each planted in a few tracks of labels that are right otherwise. They change arrays in place."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.metrics.tapvid_counts import RASTER
from pipeline.records import TrackLabels

Plant = Callable[["Patient"], np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Patient:
    """Copies of right tracks to plant a fault in."""

    tracks: np.ndarray  # float32 "T N 2", pixels of the clip
    seen: np.ndarray  # bool "T N"
    raster_px: float  # pixels of the clip across which one of the raster goes, along x
    width: int
    lone: np.ndarray  # int64: tracks on what stands, far from each other, seen in all frames
    near: np.ndarray  # int64: on the board that passes in front
    far: np.ndarray  # on the one behind


def plant(labels: TrackLabels, fault: Plant, *, width: int, near: np.ndarray, far: np.ndarray) -> tuple[TrackLabels, np.ndarray]:
    """The labels with a fault, and the tracks that have it."""
    standing = np.flatnonzero(labels.visibility.all(axis=0))
    standing = standing[~np.isin(standing, np.concatenate([near, far]))]
    patient = Patient(
        tracks=labels.tracks_px.copy(),
        seen=labels.visibility.copy(),
        raster_px=width / RASTER,
        width=width,
        lone=standing[5:-5:22],
        near=near,
        far=far,
    )
    victims = fault(patient)
    return replace(labels, tracks_px=patient.tracks, visibility=patient.seen), victims


def duplicated(patient: Patient) -> np.ndarray:
    """From the second frame on they run with the next track."""
    patient.tracks[1:, patient.lone] = patient.tracks[1:, patient.lone + 1]
    return patient.lone


def frozen(patient: Patient) -> np.ndarray:
    patient.tracks[:, patient.lone] = patient.tracks[0, patient.lone]
    return patient.lone


def jumping(patient: Patient) -> np.ndarray:
    """Away by 20 px in one frame, and back."""
    patient.tracks[13, patient.lone, 0] += 20 * patient.raster_px
    return patient.lone


def swapped(patient: Patient) -> np.ndarray:
    """Where the boards cross, points of one height go on with each other's course."""
    near, far = patient.near[3:6], patient.far[3:6]
    crossing = int(np.argmin(np.abs(patient.tracks[:, near, 0] - patient.tracks[:, far, 0]).max(axis=1)))
    for array in (patient.tracks, patient.seen):
        array[crossing + 1 :, np.r_[near, far]] = array[crossing + 1 :, np.r_[far, near]]
    return np.r_[near, far]


def drifting(patient: Patient) -> np.ndarray:
    """0.2 px further off in each frame."""
    patient.tracks[:, patient.lone, 0] += 0.2 * patient.raster_px * np.arange(len(patient.tracks))[:, None]
    return patient.lone


def inverted(patient: Patient) -> np.ndarray:
    """Visible while the other board hides them, and only then."""
    patient.seen[:, patient.far] = ~patient.seen[:, patient.far]
    return patient.far


def outside(patient: Patient) -> np.ndarray:
    """Visible, though the place is beyond the image."""
    patient.tracks[-8:, patient.lone, 0] = patient.width + 3
    return patient.lone


def blinking(patient: Patient) -> np.ndarray:
    patient.seen[1:-1:2, patient.lone] = False
    return patient.lone


def shifted(patient: Patient) -> np.ndarray:
    """All of them by half a pixel of the clip, from the second frame on: a mistaken convention."""
    patient.tracks[1:] += 0.5
    return np.arange(patient.tracks.shape[1])
