"""The label file's columns, and the two numbers that turn them into pixels and scores.

Positions are fixed point: `tracks_x` and `tracks_y` hold pixels x 32, rounded, so that a reader divides by 32 and needs
nothing else. Values lie time-contiguous per track: frame t of track n is element n * num_frames + t. Rounding moves a point by
at most 1/64 px per axis. Scores are x 255. Query positions are float32 and come back as they were given.

The encodings were chosen by measuring real tracks (Lucas-Kanade on five videos, 48 frames x 1,024 points), bytes per point and
frame of one position column: BYTE_STREAM_SPLIT + zstd 1.13, DELTA_BINARY_PACKED + zstd 1.43, plain + zstd 1.85.
"""

from typing import Any

import pyarrow as pa

POSITION_SCALE = 32
SCORE_SCALE = 255

# Every clip is a row group of its own, because training reads clips in shuffled order, one at a time. With 1, 2, 4 and 8 clips
# in a group, reading one clip of 48 x 1,024 takes 2.3, 3.8, 5.4 and 8.3 ms (decoding its 512-pixel video: 40 to 60). The price
# is footer: against four clips in a group, 1.5 % more bytes at 48 x 1,024 and 4 % at 48 x 256.
CLIPS_PER_ROW_GROUP = 1


def _list_of(value: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", value, nullable=False))


CLIP_SCHEMA = pa.schema(
    {
        "key": pa.string(),
        "status": pa.string(),
        "clip_sha256": pa.string(),
        "num_frames": pa.int32(),
        "num_tracks": pa.int32(),
        "width": pa.int32(),
        "height": pa.int32(),
        "error": pa.string(),
        "notes": pa.string(),
    }
)
TRACK_SCHEMA = pa.schema(
    {
        "tracks_x": _list_of(pa.int32()),
        "tracks_y": _list_of(pa.int32()),
        "visibility": _list_of(pa.bool_()),
        "visibility_score": _list_of(pa.uint8()),
        "confidence": _list_of(pa.uint8()),
        "cycle_error_px": _list_of(pa.float32()),
        "query_t": _list_of(pa.int32()),
        "query_x": _list_of(pa.float32()),
        "query_y": _list_of(pa.float32()),
    }
)
SCHEMA = pa.schema(
    [*CLIP_SCHEMA, *TRACK_SCHEMA],
    metadata={  # what the file says about itself, so that it can be read without this package
        "position_scale": str(POSITION_SCALE),
        "position_error_bound_px": str(0.5 / POSITION_SCALE),
        "score_scale": str(SCORE_SCALE),
        "order": "frame t of track n is element n * num_frames + t",
        "convention": "pixels of the stored clip, x right, y down; integer values are pixel centres, the image covers [-0.5, width - 0.5]",
    },
)

_SPLIT = ("tracks_x", "tracks_y", "visibility_score", "confidence", "cycle_error_px", "query_x", "query_y")


def writer_options() -> dict[str, Any]:
    """Parquet encodings; level 9 of zstd is 3 % smaller than the default here, and no slower to read."""
    return {
        "row_group_size": CLIPS_PER_ROW_GROUP,
        "compression_level": 9,
        "use_dictionary": False,
        "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in _SPLIT},
        "write_statistics": ["key", "status"],
        "write_page_checksum": True,
    }
