"""Tracks: columns beside the video, as any Parquet reader takes them.

Positions are fixed point: `tracks_x` and `tracks_y` hold pixels x 32, rounded, so that a reader divides by 32 and needs
nothing else. Values lie time-contiguous per track: frame t of track n is element n * num_frames + t. Rounding moves a point by
at most 1/64 px per axis. Scores are x 255. Query positions are float32 and come back as they were given.

The encodings were chosen by measuring real tracks (Lucas-Kanade on five videos, 48 frames x 1,024 points), bytes per point and
frame of one position column: BYTE_STREAM_SPLIT + zstd 1.13, DELTA_BINARY_PACKED + zstd 1.43, plain + zstd 1.85.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.labels.kinds.kind import CLIP_COLUMNS, LabelKind, metadata_number
from pipeline.records import TrackLabels
from pipeline.records.fields import names_along

POSITION_SCALE = 32
SCORE_SCALE = 255

# Every clip is a row group of its own, because training reads clips in shuffled order, one at a time. With 1, 2, 4 and 8 clips
# in a group, reading one clip of 48 x 1,024 takes 2.3, 3.8, 5.4 and 8.3 ms (decoding its 512-pixel video: 40 to 60). The price
# is footer: against four clips in a group, 1.5 % more bytes at 48 x 1,024 and 4 % at 48 x 256.
CLIPS_PER_ROW_GROUP = 1

_CONVENTION = "pixels of the stored clip, x right, y down; integer values are pixel centres, the image covers [-0.5, width - 0.5]"
_INT32_MAX = np.iinfo(np.int32).max
_SPLIT = ("tracks_x", "tracks_y", "visibility_score", "confidence", "cycle_error_px", "query_x", "query_y")


def list_of(value: pa.DataType) -> pa.DataType:
    """A list of values none of which is null."""
    return pa.list_(pa.field("element", value, nullable=False))


_ELEMENTS = {
    "tracks_x": pa.int32(),
    "tracks_y": pa.int32(),
    "visibility": pa.bool_(),
    "visibility_score": pa.uint8(),
    "confidence": pa.uint8(),
    "cycle_error_px": pa.float32(),
    "query_t": pa.int32(),
    "query_x": pa.float32(),
    "query_y": pa.float32(),
}


def _clip_columns() -> dict[str, pa.DataType]:
    """The clip's columns with the number of tracks in its place."""
    columns = dict(CLIP_COLUMNS)
    first = {name: columns.pop(name) for name in ("key", "status", "clip_sha256", "num_frames")}
    return {**first, "num_tracks": pa.int32(), **columns}


def _check(labels: TrackLabels, num_frames: int, height: int, width: int) -> None:
    if len(labels.tracks_px) != num_frames:
        raise DataError(f"labels cover {len(labels.tracks_px)} frames, the clip has {num_frames}")
    t = labels.queries[:, 0]
    outside = (t < 0) | (t >= num_frames) | (t != np.round(t))
    if outside.any():
        raise DataError(f"{int(outside.sum())} queries lie between or outside the clip's {num_frames} frames")


def _encode(labels: TrackLabels) -> dict[str, Any]:
    x, y = _fixed_point(labels)
    return {
        "num_tracks": labels.tracks_px.shape[1],
        "tracks_x": by_track(x),
        "tracks_y": by_track(y),
        "visibility": by_track(labels.visibility),
        "visibility_score": _quantised(labels.visibility_score),
        "confidence": _quantised(labels.confidence),
        "cycle_error_px": labels.cycle_error_px,
        "query_t": labels.queries[:, 0].astype(np.int32),
        "query_x": labels.queries[:, 1],
        "query_y": labels.queries[:, 2],
    }


def as_stored(positions_px: np.ndarray) -> np.ndarray:
    """Positions as they are read from disk, in 1/32 px; float32, of any shape."""
    return (np.rint(positions_px.astype(np.float64) * POSITION_SCALE) / POSITION_SCALE).astype(np.float32)


def _fixed_point(labels: TrackLabels) -> np.ndarray:
    """Positions "2 T N" as int32."""
    scaled = np.rint(labels.tracks_px.astype(np.float64) * POSITION_SCALE)
    too_far = np.abs(scaled) > _INT32_MAX
    if too_far.any():
        t, n, _ = (int(index[0]) for index in np.nonzero(too_far))
        raise DataError(
            f"track {n} is at {labels.tracks_px[t, n].tolist()} px in frame {t}, expected within"
            f" {_INT32_MAX // POSITION_SCALE} px: the labeler's prediction ran away; clamp it there, or mark the clip failed"
        )
    return np.moveaxis(scaled.astype(np.int32), -1, 0)


def _quantised(score: np.ndarray | None) -> np.ndarray | None:
    return None if score is None else by_track(np.rint(score * np.float32(SCORE_SCALE)).astype(np.uint8))


def by_track(array: np.ndarray) -> np.ndarray:
    """ "T N" to a flat array in which each track's frames lie together."""
    return np.ascontiguousarray(array.T).ravel()


def _decode(table: pa.Table, row: int, files: Mapping[str, bytes]) -> TrackLabels:
    """Labels scaled as the table's metadata say."""
    size = (table["num_tracks"][row].as_py(), table["num_frames"][row].as_py())
    if None in size or min(size) < 0 or len(values_of(table, "tracks_x", row)) != size[0] * size[1]:
        raise DataError(f"num_tracks and num_frames are {size[0]} and {size[1]}, which its tracks do not fill")
    position_scale, score_scale = (metadata_number(table, name) for name in ("position_scale", "score_scale"))
    tracks = np.empty((size[1], size[0], 2), np.float32)
    for axis, name in enumerate(("tracks_x", "tracks_y")):
        # 1 / scale is a power of two for our own files, so that the product is exact
        np.multiply(values_of(table, name, row).reshape(size).T, 1 / position_scale, out=tracks[..., axis], casting="same_kind")
    visibility = values_of(table, "visibility", row).reshape(size)
    queries = np.stack([values_of(table, name, row) for name in ("query_t", "query_x", "query_y")], axis=1)
    cycle_error = table["cycle_error_px"][row]
    return TrackLabels(
        queries=queries.astype(np.float32),
        tracks_px=tracks,
        visibility=np.ascontiguousarray(visibility.T),
        visibility_score=_score(table, "visibility_score", row, size=size, scale=score_scale),
        confidence=_score(table, "confidence", row, size=size, scale=score_scale),
        cycle_error_px=values_of(table, "cycle_error_px", row).copy() if cycle_error.is_valid else None,
    )


def values_of(table: pa.Table, name: str, row: int) -> np.ndarray:
    """The list in a cell, flat. Raises DataError if it is null."""
    cell = table[name][row]
    if not cell.is_valid:
        raise DataError(f"{name} is null in a row with status ok")
    return np.asarray(cell.values.to_numpy(zero_copy_only=False))


def _score(table: pa.Table, name: str, row: int, *, size: tuple[int, int], scale: int) -> np.ndarray | None:
    if not table[name][row].is_valid:
        return None
    return np.ascontiguousarray(values_of(table, name, row).reshape(size).T).astype(np.float32) / np.float32(scale)


def _arrays(labels: TrackLabels) -> dict[str, np.ndarray]:
    optional = {"visibility_score": labels.visibility_score, "confidence": labels.confidence}
    return {
        "tracks2d": labels.tracks_px,
        "visibility": labels.visibility,
        "query_frame": labels.queries[:, 0].astype(np.int32),
        **{name: array for name, array in optional.items() if array is not None},
    }


TRACKS = LabelKind(
    name=TrackLabels.kind,
    record=TrackLabels,
    schema=pa.schema(
        {**_clip_columns(), **{name: list_of(element) for name, element in _ELEMENTS.items()}},
        metadata={  # what the file says about itself, so that it can be read without this package
            "position_scale": str(POSITION_SCALE),
            "position_error_bound_px": str(0.5 / POSITION_SCALE),
            "score_scale": str(SCORE_SCALE),
            "order": "frame t of track n is element n * num_frames + t",
            "convention": _CONVENTION,
        },
    ),
    writer_options={  # level 9 of zstd is 3 % smaller than the default here, and no slower to read
        "row_group_size": CLIPS_PER_ROW_GROUP,
        "compression_level": 9,
        "use_dictionary": False,
        "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in _SPLIT},
        "write_statistics": ["key", "status"],
        "write_page_checksum": True,
    },
    has_queries=True,
    # true tracks are of other points than labelled ones: nothing that is known of those stays
    fields=(*names_along("N"), "tracks3d_source", "tracks3d_scale"),
    check=_check,
    encode=_encode,
    decode=_decode,
    arrays=_arrays,
)
