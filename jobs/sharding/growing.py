"""Additions of a run to a root: the inputs that are new, what probing says of them, and the next part of the plan."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.console import ProgressLine
from jobs.execution.run import Executor
from jobs.sharding.presence import check_present
from jobs.sharding.retrying import good_retries
from jobs.sharding.stages import ProbeStage
from pipeline import storage
from pipeline.layout import Layout, committed
from pipeline.manifest import Manifest
from pipeline.shards.errors_table import ErrorRow, read_errors, write_errors
from pipeline.shards.known import KnownSource, PlannedSources, read_known_sources
from pipeline.shards.plan import PlanEnd, PlannedClip, assign_shards, plan_end, write_plan
from pipeline.shards.planning import Planner, group_specs, rows_digest, same_bounds, sources_of
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.probing import MISSING, ProbedSource, Source, group_sources, locate_source, probed_sources, read_probe_group
from pipeline.shards.source_roots import SourceRoots
from pipeline.tables import parse_table, read_table

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RootState:
    """A root as this run finds it."""

    root: str
    end: PlanEnd
    roots: SourceRoots
    known: Mapping[str, KnownSource]  # by name
    planned: PlannedSources

    @property
    def names(self) -> dict[str, str]:
        """Names of known sources by uri."""
        return {source.uri: source.name for source in self.known.values()}

    def placed(self, roots: SourceRoots) -> "RootState":
        """The same, with roots for what is new."""
        return replace(self, roots=roots)


def read_state(root: str, roots: SourceRoots) -> RootState:
    """State of a root; an empty one where there is nothing yet."""
    end = plan_end(root)
    known = read_known_sources(root, roots, before=end.probe)
    return RootState(root=root, end=end, roots=roots, known=known, planned=PlannedSources(root))


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """Additions of this run."""

    clips: tuple[PlannedClip, ...]  # new ones, and failed ones that are planned again
    errors: tuple[ErrorRow, ...]  # rows and sources that cannot be used, as this run sees them
    num_duplicates: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests to a run besides adding new inputs."""

    publish: bool = True  # False: a dry run
    retry_errors: bool = False  # failed sources and clips, too


def grow(state: RootState, manifest: Manifest, policy: ClipPolicy, *, executor: Executor, asked: Asked) -> Growth:
    """Probe new sources, and publish the next part of the plan where there is something new.

    Raises: StorageError if a whole folder of sources is gone, or a table cannot be written; AlreadyThereError if another job
    published this part first.
    """
    specs = group_specs(manifest.specs)
    sources = [replace(source, reference=state.roots.reference(source.uri) or source.uri) for source in sources_of(manifest.specs)]
    failed = [
        source
        for source in sources
        if asked.retry_errors and source.relative_uri in state.known and state.known[source.relative_uri].failed
    ]
    again = _good_now(failed, policy, executor)
    fresh = [source for source in sources if source.relative_uri not in state.known or source.relative_uri in again]
    found = _probe(state, fresh, policy, executor, publish=asked.publish)
    check_present(fresh, [row.source for row in found.passing if row.exception == MISSING], state.roots)
    planner = Planner(specs, policy, state.planned, state.roots)
    retried = good_retries(state.root, policy, executor, all_errors=asked.retry_errors) if state.end.part else []
    new = list(planner.plan([*_changed(state, specs, again), *found.items(state.roots)]))
    clips = tuple(
        assign_shards(
            iter([*retried, *new]), clips_per_shard=policy.clips_per_shard, bytes_per_shard=policy.bytes_per_shard, first=state.end.shard
        )
    )
    growth = Growth(
        clips=clips,
        errors=(*_manifest_rows(manifest), *found.passing, *planner.errors),
        num_duplicates=manifest.count("duplicate"),
    )
    if asked.publish and (clips or found.tables or not state.end.part):
        _write_new_errors(state, growth)
        write_plan(state.root, iter(clips), end=state.end, probe_end=max(found.tables, default=state.end.probe - 1) + 1)
    return growth


@dataclass(frozen=True, kw_only=True, slots=True)
class _Probed:
    """New probe tables by number, and sources that they say nothing of."""

    tables: Mapping[int, Sequence[ProbedSource]]
    passing: tuple[ErrorRow, ...]

    def items(self, roots: SourceRoots) -> Iterator[tuple[int, ProbedSource]]:
        for number, items in sorted(self.tables.items()):
            yield from ((number, locate_source(item, roots)) for item in items)


def _probe(state: RootState, fresh: Sequence[Source], policy: ClipPolicy, executor: Executor, *, publish: bool) -> _Probed:
    """Probe new sources; tables that an interrupted run left are taken up where they are of the same sources."""
    groups = {state.end.probe + place: group for place, group in enumerate(group_sources(fresh))}
    left = _left_over(state, groups) if publish else set()
    missing = sorted(set(groups) - left)
    stage = ProbeStage(state.root if publish else None, groups, policy)
    with ProgressLine("probing", sum(len(groups[number]) for number in missing), "sources") as progress:
        results = executor.run(stage, missing, progress).results
    tables = {number: probed_sources(parse_table(found.table)) for number, found in results.items() if found.num_sources}
    tables |= {number: probed_sources(read_table(Layout(state.root).probe(number), "probe")) for number in left}
    return _Probed(tables=tables, passing=tuple(row for _, found in sorted(results.items()) for row in found.passing))


def _good_now(failed: Sequence[Source], policy: ClipPolicy, executor: Executor) -> set[str]:
    """Names of the sources that can be probed now. They are tried first: what still fails adds no table."""
    groups = dict(enumerate(group_sources(failed)))
    with ProgressLine("trying again", len(failed), "sources") as progress:
        results = executor.run(ProbeStage(None, groups, policy), sorted(groups), progress).results
    found = (item for result in results.values() for item in probed_sources(parse_table(result.table)))
    return {item.source.relative_uri for item in found if item.error is None}


def _left_over(state: RootState, groups: Mapping[int, Sequence[Source]]) -> set[int]:
    """Numbers of complete tables of an interrupted run. Tables of other sources, of which no plan speaks, are removed."""
    layout, complete = Layout(state.root), set()
    for number in sorted(committed(storage.join(state.root, "probe"))):
        if number < state.end.probe:
            continue
        names = set(read_table(layout.probe(number), "probe", ["relative_uri"])["relative_uri"].to_pylist())
        wanted = {source.relative_uri for source in groups.get(number, ())}
        if names == wanted:
            complete.add(number)
        elif not names <= wanted:
            storage.remove(layout.probe(number))
    return complete


def _changed(state: RootState, specs: Mapping[str, Sequence], again: set[str]) -> Iterator[tuple[int, ProbedSource]]:
    """Known sources of which the manifest asks for frames that it did not ask for when they were planned."""
    wanted: dict[int, set[str]] = {}
    columns_changed = 0
    for name, known in state.known.items():
        if name not in specs or name in again:
            continue
        digest, before = rows_digest(specs[name]), state.planned[name].rows_sha256
        if not known.failed and not same_bounds(before, digest):
            wanted.setdefault(known.table, set()).add(name)
        columns_changed += before is not None and same_bounds(before, digest) and before != digest
    if columns_changed:
        _LOG.warning(
            "%d known sources have other columns now (caption, license, camera): the first ones stay; new values need a new root",
            columns_changed,
        )
    for number, names in sorted(wanted.items()):
        yield from ((number, item) for item in read_probe_group(state.root, number) if item.source.relative_uri in names)


def _manifest_rows(manifest: Manifest) -> list[ErrorRow]:
    return [
        ErrorRow(stage="manifest", key="", source=problem.manifest, exception=problem.kind, message=str(problem))
        for problem in manifest.problems
    ]


def _write_new_errors(state: RootState, growth: Growth) -> None:
    """Publish what earlier parts do not say already, as the errors of this part."""
    for stage, kinds in (("manifest", ("manifest",)), ("plan", ("plan", "probe"))):
        said = {(row.source, row.message) for row in read_errors(state.root, stage, before=state.end.part)}
        rows = [row for row in growth.errors if row.stage in kinds and (row.source, row.message) not in said]
        write_errors(state.root, stage, state.end.part, rows)
