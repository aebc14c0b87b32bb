"""Cameras: list columns beside the video, float32, row by row.

`camera_to_world` holds 16 numbers per frame, `intrinsics` 9 (null where they are unknown); frame t's begin at 16 t and 9 t. At 48 frames a
clip takes about 4 KB.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.labels.kinds.kind import CLIP_COLUMNS, KIND, LabelKind
from pipeline.records.cameras import CameraLabels

_SIZES = {"camera_to_world": (4, 4), "intrinsics": (3, 3), "pose_valid": (), "reprojection_px": ()}  # per frame
_OPTIONAL = ("intrinsics", "reprojection_px")


def _list_of(value: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", value, nullable=False))


def _check(labels: CameraLabels, num_frames: int, height: int, width: int) -> None:
    if len(labels.pose_valid) != num_frames:
        raise DataError(f"cameras of {len(labels.pose_valid)} frames, the clip has {num_frames}")


def _encode(labels: CameraLabels) -> dict[str, Any]:
    arrays = {name: getattr(labels, name) for name in _SIZES}
    return {"scale": labels.scale, **{name: None if array is None else array.ravel() for name, array in arrays.items()}}


def _decode(table: pa.Table, row: int, files: Mapping[str, bytes]) -> CameraLabels:
    num_frames = table["num_frames"][row].as_py()
    arrays: dict[str, Any] = {}
    for name in _SIZES:
        if table[name][row].is_valid:
            arrays[name] = _values(table, name, row, num_frames)
        elif name not in _OPTIONAL:
            raise DataError(f"{name} is null in a row with status ok")
    return CameraLabels(scale=table["scale"][row].as_py(), **arrays)


def _values(table: pa.Table, name: str, row: int, num_frames: int) -> np.ndarray:
    values, shape = np.asarray(table[name][row].values.to_numpy(zero_copy_only=False)), (num_frames, *_SIZES[name])
    if values.size != np.prod(shape):
        raise DataError(f"{name} holds {values.size} values, {num_frames} frames have {np.prod(shape)}")
    return values.reshape(shape).copy()


def _arrays(labels: CameraLabels) -> dict[str, np.ndarray]:
    known = {} if labels.intrinsics is None else {"intrinsics": labels.intrinsics}
    return {"camera_to_world": labels.camera_to_world, "pose_valid": labels.pose_valid, **known}


def _facts(labels: CameraLabels) -> dict[str, Any]:
    return {"pose_source": "pseudo", "pose_scale": labels.scale}


CAMERAS = LabelKind(
    name=CameraLabels.kind,
    record=CameraLabels,
    schema=pa.schema(
        {
            **CLIP_COLUMNS,
            "scale": pa.string(),
            "camera_to_world": _list_of(pa.float32()),
            "intrinsics": _list_of(pa.float32()),
            "pose_valid": _list_of(pa.bool_()),
            "reprojection_px": _list_of(pa.float32()),
        },
        metadata={  # what the file says about itself, so that it can be read without this package
            KIND: CameraLabels.kind,
            "order": "4 x 4 and 3 x 3 matrices row by row, frame after frame",
            "convention": "OpenCV axes (x right, y down, z forward); pixels of the stored clip, integer values are pixel centres",
        },
    ),
    writer_options={
        "row_group_size": 1,
        "use_dictionary": False,
        "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in ("camera_to_world", "intrinsics", "reprojection_px")},
        "write_statistics": ["key", "status"],
        "write_page_checksum": True,
    },
    # Intrinsics are the image's: the clip's own stay where the labels hold none. Points of the other cameras' world have no place in this.
    fields=("camera_to_world", "pose_valid", "pose_source", "pose_scale", "tracks3d_world", "tracks3d_source", "tracks3d_scale"),
    check=_check,
    encode=_encode,
    decode=_decode,
    arrays=_arrays,
    facts=_facts,
)
