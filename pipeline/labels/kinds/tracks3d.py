"""Tracks in space: the columns of tracks, and beside them the points' positions in the world, float32 of 16 significant bits.

The rounding moves a coordinate by at most 2^-16 of itself: 0.15 mm at 10 m, or 1/100 pixel at a focal length of 650, where tracks are
rounded to 1/64. It leaves a byte of zeros in each number, which the encoding sets apart: of the true tracks of rendered clips (24 frames x
256 points) the three columns take 2.7 bytes per point and frame, 4.7 unrounded.

The world is that of the camera of the clip's first frame, so that labels need no camera to be understood; `scale` says whether it is in
metres. NaN stands for a position that is not known. Values lie time-contiguous per track, as those of tracks do.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.labels.kinds.kind import KIND, LabelKind
from pipeline.labels.kinds.tracks import TRACKS, by_track, list_of, values_of
from pipeline.records import TrackLabels, Tracks3dLabels

_WORLD = ("world_x", "world_y", "world_z")
_STEP = np.uint32(2**8)  # between the bit patterns of neighbouring positions


def rounded(positions: np.ndarray) -> np.ndarray:
    """Positions as they are read from disk: float32 of 16 significant bits, of any shape; NaN stays NaN."""
    bits = np.ascontiguousarray(positions, np.float32).view(np.uint32)
    return np.where(np.isnan(positions), np.float32(np.nan), (bits + _STEP // 2 & ~(_STEP - 1)).view(np.float32))


def _encode(labels: Tracks3dLabels) -> dict[str, Any]:
    stored = rounded(labels.tracks_world)
    world = {name: by_track(stored[..., axis]) for axis, name in enumerate(_WORLD)}
    return {**TRACKS.encode(labels), **world, "scale": labels.scale}


def _decode(table: pa.Table, row: int, files: Mapping[str, bytes]) -> Tracks3dLabels:
    tracks: TrackLabels = TRACKS.decode(table, row, files)
    num_frames, num_tracks = tracks.visibility.shape
    world = np.empty((num_frames, num_tracks, 3), np.float32)
    for axis, name in enumerate(_WORLD):
        values = values_of(table, name, row)
        if len(values) != num_frames * num_tracks:
            raise DataError(f"{name} has {len(values)} values, expected {num_tracks} tracks of {num_frames} frames")
        world[..., axis] = values.reshape(num_tracks, num_frames).T
    known = {field.name: getattr(tracks, field.name) for field in fields(TrackLabels)}
    return Tracks3dLabels(**known, tracks_world=world, scale=table["scale"][row].as_py())


def _arrays(labels: Tracks3dLabels) -> dict[str, np.ndarray]:
    return {**TRACKS.arrays(labels), "tracks3d_world": labels.tracks_world}


def _facts(labels: Tracks3dLabels) -> dict[str, Any]:
    return {"tracks3d_source": "pseudo", "tracks3d_scale": labels.scale}


TRACKS3D = LabelKind(
    name=Tracks3dLabels.kind,
    record=Tracks3dLabels,
    schema=pa.schema(
        [*TRACKS.schema, *(pa.field(name, list_of(pa.float32())) for name in _WORLD), pa.field("scale", pa.string())],
        metadata={
            **{name.decode(): value.decode() for name, value in TRACKS.schema.metadata.items()},
            KIND: Tracks3dLabels.kind,
            "world": "camera of the clip's first frame: x right, y down, z forward; NaN where unknown, a prediction where invisible",
            "world_relative_error_bound": "2^-16",
            "scale": "metric: metres; relative: true but for one unknown factor of the clip",
        },
    ),
    writer_options={
        **TRACKS.writer_options,
        "column_encoding": {
            **TRACKS.writer_options["column_encoding"],
            **{f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in _WORLD},
        },
    },
    has_queries=True,
    fields=TRACKS.fields,
    check=TRACKS.check,
    encode=_encode,
    decode=_decode,
    arrays=_arrays,
    facts=_facts,
)
