"""Take-down requests against the plan of a root: whether it has what they name, and how many of its clips they cover."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ConfigError
from pipeline.shards.plan import plan_uris, read_plan_columns
from pipeline.shards.tombstones import Tombstones

_NEAR = 3  # similar names in a message
_NAMED = 5  # unknown names in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class CoveredClips:
    """Planned clips that tombstones cover."""

    keys: int  # that are named by their key, their source or both
    by_source: dict[str, int]  # clips of each source id that any of them is of


@dataclass(frozen=True, slots=True, eq=False)
class PlannedNames:
    """Names of the planned clips: `key`, `source_id` and `source` of each, clips that were planned again once."""

    table: pa.Table

    def check_known(self, keys: Collection[str], source_ids: Collection[str]) -> None:
        """Raise ConfigError, naming similar names, if a key or a source's id is not in the plan."""
        unknown = [(kind, name) for kind, names in (("key", keys), ("source_id", source_ids)) for name in self._unknown(kind, names)]
        if unknown:
            said = "; ".join(self._described(kind, name) for kind, name in unknown[:_NAMED])
            more = f"; and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
            raise ConfigError(f"{said}{more}. Nothing was written; correct these names, or leave them out")

    def covered(self, tombstones: Tombstones) -> CoveredClips:
        """The clips that tombstones cover."""
        named = (("key", tombstones.keys), ("source_id", tombstones.source_ids))
        by_key, by_source = (pc.is_in(self.table[kind], pa.array(sorted(names), pa.string())) for kind, names in named)
        found = self.table.filter(pc.or_(by_key, by_source))
        counted = found["source_id"].value_counts().to_pylist()
        return CoveredClips(keys=len(found), by_source={each["values"]: each["counts"] for each in counted})

    def _unknown(self, kind: str, names: Collection[str]) -> list[str]:
        given = pa.array(sorted(names), pa.string())
        return given.filter(pc.invert(pc.is_in(given, self.table[kind].combine_chunks()))).to_pylist()

    def _described(self, kind: str, name: str) -> str:
        """Suggestions for an unknown name."""
        what = "no clip has the key" if kind == "key" else "no source has the id"
        ids = self.table.filter(pc.equal(self.table["source"], name))["source_id"].unique().to_pylist()
        other = "source_id" if kind == "key" else "key"
        if kind == "source_id" and ids:
            return f"{what} {name!r} (the source of this name has the id {', '.join(map(repr, ids[:_NEAR]))})"
        if self._unknown(other, [name]) == []:
            return f"{what} {name!r} (it is {'the id of a source' if other == 'source_id' else 'the key of a clip'})"
        near = ", ".join(map(repr, self._near(kind, name)))
        return f"{what} {name!r} ({f'near: {near}' if near else 'nor is one near it'})"

    def _near(self, kind: str, name: str) -> list[str]:
        """Similar names, most similar first. One mistake leaves a half of a name as it is: only names with such a half are compared."""
        half = len(name) // 2
        names = self.table[kind].unique()
        lower = pc.utf8_lower(names)
        like = pc.or_(pc.starts_with(lower, name[:half].lower()), pc.ends_with(lower, name[half:].lower()))
        return get_close_matches(name, names.filter(like).to_pylist(), n=_NEAR)


def read_planned_names(root: str) -> PlannedNames:
    """The names in all parts of a root's plan. Raises ConfigError if there is none."""
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/shard.py first, or check --root")
    columns = ["key", "source_id", "source"]
    return PlannedNames(read_plan_columns(root, columns).group_by(columns).aggregate([]))


def forgotten_names(tombstones: Tombstones, covered: CoveredClips) -> Iterable[str]:
    """One line for each name that tombstones hold."""
    for source_id in sorted(tombstones.source_ids):
        yield f"source {source_id}: {covered.by_source.get(source_id, 0)} clips"
    for key in sorted(tombstones.keys):
        yield f"clip {key}"
