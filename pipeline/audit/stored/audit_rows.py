"""The audit of one shard as a Parquet file: one row per clip, in the shard's order; tracks are list columns, one element each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.records import StaticModel, StaticPair, measure_names
from pipeline.audit.stored.clip_audit import ClipAudit, TrackAudit, TrackTrust
from pipeline.audit.verdict import Verdict
from pipeline.errors import DataError
from pipeline.layout import Layout
from pipeline.tables import TableShape, open_table, writing_table

_NCC_SCALE, _NCC_UNKNOWN = 127, -128
_TYPES: dict[Any, pa.DataType] = {int: pa.int64(), float: pa.float64(), str: pa.string(), StaticModel: pa.string()}
_CLIP = pa.schema(
    {
        "key": pa.string(),
        "clip_sha256": pa.string(),
        "verdict": pa.string(),
        "reasons": pa.list_(pa.string()),
        "error": pa.string(),
        "video_s": pa.float64(),
        "num_frames": pa.int64(),
        "width": pa.int64(),
        "height": pa.int64(),
        "license": pa.string(),
    }
)
_PLAIN = tuple(name for name in _CLIP.names if name not in ("verdict", "reasons"))  # as ClipAudit names and types them
_CLIP_MEASURES = pa.schema({each.name: _TYPES[each.type] for each in fields(ClipMeasures)})
_FLOATS, _FLAGS = ("weight", "bad_probability", "speed_px"), ("contract_error", "collapsed")
_QUERIES = ("query_t", "query_x", "query_y")
_TRUST = ("key", "num_frames", *_QUERIES, "weight", "static_score", "ncc", "static_pairs")  # what training reads


def _list_of(value: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", value, nullable=False))


_TRACKS = pa.schema(
    {
        **{name: _list_of(pa.float32()) for name in (*_QUERIES, *_FLOATS)},
        **{name: _list_of(pa.bool_()) for name in _FLAGS},
        **{name: _list_of(pa.float32()) for name in measure_names()},
        "ncc": _list_of(pa.int8()),
        "static_pairs": pa.list_(pa.struct({each.name: _TYPES[each.type] for each in fields(StaticPair)})),
    }
)
CLIP_COLUMNS = (*_CLIP.names, *_CLIP_MEASURES.names)
SCHEMA = pa.schema(
    [*_CLIP, *_CLIP_MEASURES, *_TRACKS],
    metadata={
        "ncc_scale": str(_NCC_SCALE),
        "ncc_unknown": str(_NCC_UNKNOWN),
        "order": "track n is element n of a list; frame t of track n is element n * num_frames + t of ncc",
        "pixels": "of a raster of 256 x 256, but query_x, query_y: of the stored clip",
    },
)


_SHAPE = TableShape(schema=SCHEMA, filled=("key", "verdict", "reasons", "video_s", "num_frames", "width", "height"))


@contextmanager
def writing_audit_shard(root: str, audit: str, shard: int) -> Iterator[Callable[[ClipAudit], None]]:
    """Give a function that adds a clip; the shard's audit is committed when the block ends without an error. Holds one clip at a time.

    The function raises DataError for a key that it was given before.
    """
    uri, keys = Layout(root).audit_shard(audit, shard), set[str]()
    schema = SCHEMA.with_metadata({**SCHEMA.metadata, "audit": audit})
    options = {"use_dictionary": False, "write_statistics": ["key", "verdict"], "write_page_checksum": True}
    with writing_table(uri, schema, "audit", **options) as writer:

        def add(clip: ClipAudit) -> None:
            if clip.key in keys:
                raise DataError(f"{uri}: clip {clip.key} has two rows; give every clip of the shard one row")
            keys.add(clip.key)
            writer.write_table(pa.Table.from_pylist([_columns(clip)], schema=writer.schema))

        yield add


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditShard:
    """The audit of one shard: every clip's verdict and measures at hand, its tracks read on demand. Small, and may be pickled."""

    uri: str
    clips: Mapping[str, ClipAudit]  # by key, in the file's order; without their tracks and measures

    def clip(self, key: str) -> ClipAudit:
        """The clip's verdict. Raises DataError if the file does not know the clip."""
        found = self.clips.get(key)
        if found is None:
            raise DataError(f"{self.uri}: no row for clip {key}: the shard changed after it was audited; {_again(self.uri)}")
        return found

    def whole(self, key: str) -> ClipAudit:
        """The clip with its measures and tracks, reading its row alone. Raises DataError if the file was replaced meanwhile."""
        return _clip(self._row(key, None), 0, self.uri)

    def trust(self, key: str) -> TrackTrust | None:
        """Weights and gates of the clip's tracks, as training needs them; other columns are not read. None if they were not measured.

        Raises: DataError if the file was replaced meanwhile.
        """
        table = self._row(key, _TRUST)
        if not table["weight"][0].is_valid:
            return None
        try:
            return _track_trust(table)
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{self.uri}: clip {key}: {error}; {_again(self.uri)}") from error

    def _row(self, key: str, columns: Sequence[str] | None) -> pa.Table:
        self.clip(key)
        row = list(self.clips).index(key)
        with open_table(self.uri, "audit", shape=_SHAPE) as file:
            if row >= file.metadata.num_row_groups:
                raise DataError(f"{self.uri}: clip {key} was in row {row}, it has {file.metadata.num_row_groups}; open the shard again")
            try:
                table = file.read_row_group(row, columns=columns, use_threads=False)
            except (pa.ArrowException, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                reason = " ".join(str(error).split())
                raise DataError(f"{self.uri}: clip {key} cannot be read ({reason}); if it stays so, {_again(self.uri)}") from error
        if table["key"][0].as_py() != key:
            raise DataError(f"{self.uri}: row {row} no longer holds clip {key}: the file was replaced; open the shard again")
        return table

    def check_clip(self, key: str, sha256: str) -> None:
        """Raise DataError unless the video that was audited is the shard's."""
        audited = self.clip(key).clip_sha256
        if audited is not None and audited != sha256:
            raise DataError(
                f"{self.uri}: clip {key} was audited on another video ({audited[:12]}..., not {sha256[:12]}...); {_again(self.uri)}"
            )


def read_audit_shard(root: str, audit: str, shard: int) -> AuditShard:
    """Verdicts of a shard's clips; no track is decoded. Raises StorageError if it is not audited, FormatError for a newer schema."""
    uri = Layout(root).audit_shard(audit, shard)
    with open_table(uri, "audit", shape=_SHAPE) as file:
        table = file.read(columns=_CLIP.names, use_threads=False)
    _SHAPE.check_filled(uri, table)
    clips = (_light(columns, uri) for columns in table.to_pylist())
    return AuditShard(uri=uri, clips={clip.key: clip for clip in clips})


def iterate_audit_shard(root: str, audit: str, shard: int) -> Iterator[ClipAudit]:
    """The clips of a shard one by one, whole, holding one at a time."""
    uri = Layout(root).audit_shard(audit, shard)
    with open_table(uri, "audit", shape=_SHAPE) as file:
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group, use_threads=False)
            _SHAPE.check_filled(uri, table)
            yield from (_clip(table, row, uri) for row in range(len(table)))


def _columns(clip: ClipAudit) -> dict[str, Any]:
    columns: dict[str, Any] = {name: getattr(clip, name) for name in _PLAIN}
    columns |= {"verdict": clip.verdict.decision, "reasons": list(clip.verdict.reasons)}
    if clip.measures is None or clip.tracks is None:
        return columns
    tracks = clip.tracks
    columns |= asdict(clip.measures) | dict(zip(_QUERIES, tracks.queries.T, strict=True)) | dict(tracks.measures)
    columns |= {name: getattr(tracks, name) for name in (*_FLOATS, *_FLAGS)}
    quantised = np.where(np.isnan(tracks.ncc), _NCC_UNKNOWN, np.rint(np.clip(np.nan_to_num(tracks.ncc), -1, 1) * _NCC_SCALE))
    return columns | {
        "ncc": np.ascontiguousarray(quantised.T).ravel().astype(np.int8),
        "static_pairs": [asdict(pair) for pair in tracks.static_pairs],
    }


def _light(columns: Mapping[str, Any], uri: str) -> ClipAudit:
    try:
        return ClipAudit(
            verdict=Verdict(decision=columns["verdict"], reasons=tuple(columns["reasons"])),
            **{name: columns[name] for name in _PLAIN},
        )
    except (DataError, TypeError, ValueError) as error:
        raise DataError(f"{uri}: clip {columns['key']}: {error}; {_again(uri)}") from error


def _clip(table: pa.Table, row: int, uri: str) -> ClipAudit:
    columns = {name: table[name][row].as_py() for name in CLIP_COLUMNS}
    light = _light(columns, uri)
    if columns["num_tracks"] is None:
        return light
    try:
        return replace(
            light,
            measures=ClipMeasures(**{name: columns[name] for name in _CLIP_MEASURES.names}),
            tracks=_track_audit(table, row, light.num_frames),
        )
    except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{uri}: clip {light.key}: {error}; {_again(uri)}") from error


def _track_audit(table: pa.Table, row: int, num_frames: int) -> TrackAudit:
    def values(name: str) -> np.ndarray:
        return _values(table, row, name)

    return TrackAudit(
        queries=_queries(table, row),
        weight=values("weight"),
        bad_probability=values("bad_probability") if table["bad_probability"][row].is_valid else None,
        contract_error=values("contract_error").astype(bool),
        collapsed=values("collapsed").astype(bool),
        speed_px=values("speed_px"),
        measures={name: values(name) for name in measure_names()},
        ncc=_ncc(table, row, num_frames),
        static_pairs=_static_pairs(table, row),
    )


def _track_trust(table: pa.Table) -> TrackTrust:
    """Of a table of one row."""
    return TrackTrust(
        queries=_queries(table, 0),
        weight=_values(table, 0, "weight"),
        static_score=_values(table, 0, "static_score"),
        ncc=_ncc(table, 0, table["num_frames"][0].as_py()),
        static_pairs=_static_pairs(table, 0),
    )


def _values(table: pa.Table, row: int, name: str) -> np.ndarray:
    return np.asarray(table[name][row].values.to_numpy(zero_copy_only=False)).copy()


def _queries(table: pa.Table, row: int) -> np.ndarray:
    return np.stack([_values(table, row, name) for name in _QUERIES], axis=1)


def _ncc(table: pa.Table, row: int, num_frames: int) -> np.ndarray:
    """float32 "T N", NaN where unknown."""
    num_tracks = len(table["weight"][row])
    stored = _values(table, row, "ncc").reshape(num_tracks, num_frames).T.astype(np.float32)
    return np.where(stored == _NCC_UNKNOWN, np.nan, stored / _NCC_SCALE).astype(np.float32)


def _static_pairs(table: pa.Table, row: int) -> tuple[StaticPair, ...]:
    return tuple(StaticPair(**pair) for pair in table["static_pairs"][row].as_py())


def _again(uri: str) -> str:
    return f"delete {uri.rsplit('/', 1)[-1]} and run jobs/audit.py run again"
