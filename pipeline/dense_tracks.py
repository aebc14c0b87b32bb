"""Dense tracks as files: an .npz and a Parquet table, both read back, and a .ply of coloured trajectories."""

import zipfile
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.errors import DataError, FormatError
from pipeline.records.arrays import check_array
from pipeline.records.dense_tracks import DenseTracks
from pipeline.records.npz import read_npz
from pipeline.tables import SCHEMA_VERSIONS, TableShape, read_table, write_table

KIND = "dense_tracks"
SPACES = ("world", "camera")
_ARRAYS = ("queries", "starts", "lengths", "pixels", "points", "visibility", "visibility_score")  # and colours, where they are known
_COMPRESSION = 1  # zlib's level: mantissas of floats hardly shrink at any
_VERTEX = np.dtype([("position", "<f4", 3), ("colour", "u1", 3)])
_EDGE = np.dtype([("ends", "<i4", 2), ("colour", "u1", 3)])
_PER_TRACK = {"start": pa.int32(), "length": pa.int32(), **dict.fromkeys(("query_t", "query_x", "query_y"), pa.float32())}
_COLOURS = dict.fromkeys(("red", "green", "blue"), pa.uint8())
_POSITIONS = {"pixels": ("pixel_x", "pixel_y"), "points": ("point_x", "point_y", "point_z")}
_AGAIN = "run `trackmill infer` again"


def write_dense_npz(uri: str, tracks: DenseTracks) -> None:
    """Publish the arrays of a `DenseTracks` under its fields' names, with `schema_version`, `num_frames`, `size` and `space`.

    `space` is 0 for the world, 1 for each frame's camera. Equal tracks give equal bytes.
    """
    arrays = {
        "schema_version": np.array(SCHEMA_VERSIONS[KIND]),
        "num_frames": np.array(tracks.num_frames),
        "size": np.array(tracks.size),
        "space": np.array(SPACES.index(tracks.space)),
        **{name: getattr(tracks, name) for name in _ARRAYS},
    }
    if tracks.colours is not None:
        arrays["colours"] = tracks.colours
    with storage.publishing(uri) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, np.asarray(array, order="C"), allow_pickle=False)


def read_dense_npz(uri: str) -> DenseTracks:
    """Tracks that `write_dense_npz` wrote. Raises: DataError for a damaged file; FormatError for one of another version."""
    scalars = {"schema_version": (), "num_frames": (), "size": (2,), "space": ()}
    data = storage.read_bytes(uri)
    found = read_npz(data, (*scalars, *_ARRAYS, "colours"), shapes=scalars, what=uri, remedy=_AGAIN)
    version = int(found.get("schema_version", -1))
    if version != SCHEMA_VERSIONS[KIND]:
        raise FormatError(f"{uri}: version {version} of dense tracks, this trackmill reads {SCHEMA_VERSIONS[KIND]}; {_AGAIN}")
    missing = [name for name in (*scalars, *_ARRAYS) if name not in found]
    if missing:
        raise DataError(f"{uri}: it has no {', '.join(missing)}; {_AGAIN}")
    return _tracks(uri, found, int(found["num_frames"]), found["size"], int(found["space"]))


def write_dense_parquet(uri: str, tracks: DenseTracks) -> None:
    """Publish a table with a row per track, whose positions are lists: `pixel_x`, `pixel_y`, `point_x`, ..., `visibility`."""
    queries = dict(zip(("query_t", "query_x", "query_y"), tracks.queries.T, strict=True))
    columns: dict[str, pa.Array] = {"start": pa.array(tracks.starts), "length": pa.array(tracks.lengths)}
    columns |= {name: pa.array(np.ascontiguousarray(values)) for name, values in queries.items()}
    if tracks.colours is not None:
        columns |= {name: pa.array(np.ascontiguousarray(values)) for name, values in zip(_COLOURS, tracks.colours.T, strict=True)}
    offsets = pa.array(tracks.offsets.astype(np.int32))
    values = {"visibility": tracks.visibility, "visibility_score": tracks.visibility_score}
    for name, axes in _POSITIONS.items():
        values |= dict(zip(axes, getattr(tracks, name).T, strict=True))
    columns |= {name: pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(array))) for name, array in values.items()}
    height, width = tracks.size
    facts = {"num_frames": tracks.num_frames, "height": height, "width": width, "space": SPACES.index(tracks.space)}
    table = pa.table(columns).replace_schema_metadata({name: str(value) for name, value in facts.items()})
    split = [f"{name}.list.element" for name in values if name != "visibility"]
    write_table(uri, table, KIND, use_dictionary=False, use_byte_stream_split=split)


def read_dense_parquet(uri: str) -> DenseTracks:
    """Tracks that `write_dense_parquet` wrote. Raises: DataError for a damaged file; FormatError for one of another version."""
    table = read_table(uri, KIND, shape=_SHAPE)
    try:
        facts = {name: int((table.schema.metadata or {})[name.encode()]) for name in ("num_frames", "height", "width", "space")}
    except (KeyError, ValueError) as error:
        raise DataError(f"{uri}: its metadata do not say frames, size and space; {_AGAIN}") from error

    def column(name: str) -> np.ndarray:
        values = table[name].combine_chunks()
        return np.asarray((values.flatten() if pa.types.is_list(values.type) else values).to_numpy(zero_copy_only=False))

    found = {"starts": column("start"), "lengths": column("length")}
    found |= {name: column(name) for name in ("visibility", "visibility_score")}
    stacked = {"queries": ("query_t", "query_x", "query_y"), **_POSITIONS}
    if "red" in table.column_names:
        stacked["colours"] = tuple(_COLOURS)
    found |= {name: np.stack([column(axis) for axis in axes], axis=1) for name, axes in stacked.items()}
    return _tracks(uri, found, facts["num_frames"], np.array([facts["height"], facts["width"]]), facts["space"])


def write_trajectories(uri: str, tracks: DenseTracks, colours: np.ndarray) -> int:
    """Publish the seen positions as binary .ply with an edge from each to the next frame's, if that is seen too.

    Args:
        colours: uint8 "M 3", RGB, of the tracks.
    Returns: number of vertices.
    """
    check_array("colours", colours, "uint8", (tracks.num_tracks, 3))
    owners, seen = tracks.track_numbers, tracks.visibility
    follows = np.flatnonzero(seen[:-1] & seen[1:] & (owners[:-1] == owners[1:]))
    num_vertices = int(seen.sum())
    red_green_blue = [f"property uchar {name}" for name in _COLOURS]
    header = [
        *("ply", "format binary_little_endian 1.0"),
        *(f"element vertex {num_vertices}", *(f"property float {axis}" for axis in "xyz"), *red_green_blue),
        *(f"element edge {len(follows)}", "property int vertex1", "property int vertex2", *red_green_blue),
        *("end_header", ""),
    ]
    with storage.publishing(uri) as path, path.open("wb") as handle:
        handle.write("\n".join(header).encode())
        _vertices(tracks, colours[owners[seen]]).tofile(handle)
        _edges(np.cumsum(seen, dtype=np.int32) - 1, follows, colours[owners[follows]]).tofile(handle)
    return num_vertices


def _vertices(tracks: DenseTracks, colours: np.ndarray) -> np.ndarray:
    vertices = np.empty(len(colours), _VERTEX)
    vertices["position"], vertices["colour"] = tracks.points[tracks.visibility], colours
    return vertices


def _edges(places: np.ndarray, follows: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Edges from positions `follows` to those behind them, of which `places` are the vertices."""
    edges = np.empty(len(follows), _EDGE)
    edges["ends"][:, 0], edges["ends"][:, 1], edges["colour"] = places[follows], places[follows + 1], colours
    return edges


def _tracks(uri: str, arrays: Mapping[str, np.ndarray], num_frames: int, size: np.ndarray, space: int) -> DenseTracks:
    named = {name: arrays[name] for name in (*_ARRAYS, "colours") if name in arrays}
    if not 0 <= space < len(SPACES):
        raise DataError(f"{uri}: space {space}, expected 0 or 1; {_AGAIN}")
    try:
        return DenseTracks(num_frames=num_frames, size=(int(size[0]), int(size[1])), space="camera" if space else "world", **named)
    except DataError as error:
        raise DataError(f"{uri}: {error}; {_AGAIN}") from error


def _schema() -> pa.Schema:
    lists: dict[str, pa.DataType] = {axis: pa.list_(pa.float32()) for axes in _POSITIONS.values() for axis in axes}
    lists |= {"visibility": pa.list_(pa.bool_()), "visibility_score": pa.list_(pa.float32())}
    return pa.schema({**_PER_TRACK, **_COLOURS, **lists})


_SHAPE = TableShape(schema=_schema(), added=frozenset(_COLOURS))
