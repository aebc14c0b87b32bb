"""jobs/consensus.py without its command line: the label sets that are fused, the set that is made, the shards that lack it."""

from collections.abc import Sequence
from dataclasses import dataclass

import typer

from jobs.execution.missing import shards_to_do
from jobs.execution.run import Executor
from jobs.execution.units import PoolConfig
from jobs.fusing.inputs import MemberSet
from jobs.fusing.worker import SAME_QUERIES, FuserSettings
from jobs.labeling.filling import Filled, fill_shards, num_workers_for
from jobs.labeling.shards import num_unexpected
from jobs.labeling.stage import LabelStage, LabelTotals
from pipeline import storage
from pipeline.audit.stored.audit_set import AuditSet, list_audits, read_audit_set
from pipeline.consensus.fusion import AGREE_PX
from pipeline.consensus.matching import LEAST_VOTES, match_queries
from pipeline.consensus.provenance import Member, describe_consensus, is_consensus
from pipeline.errors import ConfigError
from pipeline.labels import read_label_set, read_label_shard, write_label_set
from pipeline.layout import Layout
from pipeline.records import LabelSet, TrackLabels
from pipeline.shards.errors_table import ErrorRow, read_errors
from pipeline.shards.plan import plan_uris
from pipeline.stream.audits import audit_command

_TRIED = 8  # clips of the first shard that are looked at for common queries, before any work


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsensusConfig:
    """All that jobs/consensus.py is asked for."""

    root: str
    labels: tuple[str, ...]  # label sets of tracks, two or more; where they are equally good, the first counts
    executor: Executor
    agree_px: float = AGREE_PX  # of the 256 x 256 raster: positions that are no farther apart agree
    equal_votes: bool = False  # trust all tracks alike, and read no audit
    audits: tuple[str, ...] = ()  # of label sets whose audit is not named as they are
    num_workers: int | None = None  # None: as many as the cluster's CPUs allow
    num_cpus_per_worker: float = 1.0

    def __post_init__(self) -> None:
        if self.executor.name == "inline" and (self.num_workers or 1) > 1:
            raise ConfigError("--executor inline has one worker; use --executor ray for more")
        if len(self.labels) < 2 or len({*self.labels}) < len(self.labels):
            raise ConfigError(f"--labels names {', '.join(self.labels) or 'no set'}; name two label sets or more, each of them once")
        if not 0 < self.agree_px < float("inf"):
            raise ConfigError(f"--agree-px is {self.agree_px}, expected above 0")
        if self.equal_votes and self.audits:
            raise ConfigError("--audit is for votes by trust; leave it away, or leave --equal-votes away")
        self.pool(1 if self.num_workers is None else self.num_workers)

    def pool(self, num_workers: int) -> PoolConfig:
        """The pool with so many workers. Raises: ConfigError."""
        return PoolConfig(num_workers=num_workers, num_cpus=self.num_cpus_per_worker)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsensusOutcome:
    """Outcome of the job."""

    label_set: LabelSet
    members: tuple[Member, ...]
    totals: LabelTotals
    num_clips: int  # of the shards of this run
    num_shards: int
    already_done: int  # shards
    not_ready: int  # planned shards that are not cut, labelled by every set and audited yet
    elapsed_s: float
    unexpected: tuple[ErrorRow, ...]


def fuse_dataset(config: ConsensusConfig, *, dry_run: bool) -> ConsensusOutcome:
    """Fuse what is labelled and not fused yet. One job at a time makes a label set: the later one waits.

    Raises: ConfigError; StorageError, once the other shards are done, if some could not be committed.
    """
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/shard.py first, or check --root")
    members = members_of(config, root)
    label_set = describe_consensus(members, agree_px=config.agree_px)
    lock = None if dry_run else Layout(root).lock(f"labels/{label_set.name}")
    with storage.only_one(lock, f"the labels {label_set.name} of {root}"):
        return _fuse_missing(config, root, members, label_set, dry_run=dry_run)


def members_of(config: ConsensusConfig, root: str) -> tuple[Member, ...]:
    """The label sets and their audits, checked.

    Raises: ConfigError for sets or audits that are not there, sets without tracks, those that are a consensus themselves, and sets that
        have one vote together.
    """
    sets = [read_label_set(root, name, kind=TrackLabels.kind) for name in config.labels]
    for each in sets:
        if is_consensus(each):
            raise ConfigError(f"label set {each.name} is a consensus: its votes would count twice; name the sets that it was made from")
    audits = _audits(config, root)
    members = tuple(Member(label_set=each, audit=audits.get(each.name)) for each in sets)
    votes = {member.vote for member in members}
    if len(votes) < LEAST_VOTES:
        raise ConfigError(
            f"{', '.join(config.labels)} are all of {votes.pop()}: variants of one labeler have one vote together, which has nobody to"
            " agree with; add a label set of another labeler"
        )
    return members


def _audits(config: ConsensusConfig, root: str) -> dict[str, AuditSet]:
    """The audit of each label set, by the set's name; empty for equal votes. Raises: ConfigError if one is missing or judged another."""
    if config.equal_votes:
        return {}
    found: dict[str, AuditSet] = {}
    for name in config.audits:
        audit = read_audit_set(root, name)
        if audit.label_set not in config.labels or audit.label_set in found:
            reason = "another --audit judged too" if audit.label_set in found else "is not among --labels"
            raise ConfigError(f"--audit {name} judged {audit.label_set}, which {reason}; name one audit for each label set")
        found[audit.label_set] = audit
    existing = {*list_audits(root)}
    for name in config.labels:
        if name in found:
            continue
        if name not in existing:
            raise ConfigError(
                f"{root}: the tracks {name} have no audit of that name to tell how far they are trusted; run"
                f" {audit_command(root, name, name)}, name another with --audit, or trust all tracks alike with --equal-votes"
            )
        found[name] = read_audit_set(root, name)
        if found[name].label_set != name:
            raise ConfigError(f"audit {name} judged the label set {found[name].label_set}; name an audit of {name} with --audit")
    return found


def _fuse_missing(
    config: ConsensusConfig, root: str, members: tuple[Member, ...], label_set: LabelSet, *, dry_run: bool
) -> ConsensusOutcome:  # fmt: skip
    layout, stage = Layout(root), f"labels/{label_set.name}"
    audits = [member.audit.name for member in members if member.audit is not None]
    needs = [layout.shards, *map(layout.label_set, config.labels), *map(layout.audit, audits)]
    todo = shards_to_do(root, needs=needs, makes=layout.label_set(label_set.name), errors=stage)
    settings = FuserSettings(
        root=root,
        members=tuple(
            MemberSet(name=each.label_set.name, vote=each.vote, audit=None if each.audit is None else each.audit.name) for each in members
        ),
        agree_px=config.agree_px,
    )
    if todo.ready:
        _check_common_queries(root, members, todo.ready[0])
    _say_uncalibrated(members)
    num_clips = todo.num_clips(todo.fresh) + num_unexpected(root, label_set.name, todo.again)
    filled = Filled(totals=LabelTotals(), elapsed_s=0.0)
    if todo.missing and not dry_run:
        write_label_set(root, label_set)
        filled = fill_shards(
            LabelStage(settings=settings, label_set=label_set.name),
            config.executor,
            todo.missing,
            pool=lambda: config.pool(_num_workers(config)),
            num_clips=num_clips,
            doing="fusing",
        )
    return ConsensusOutcome(
        label_set=label_set,
        members=members,
        totals=filled.totals,
        num_clips=num_clips,
        num_shards=len(todo.missing),
        already_done=len(todo.done),
        not_ready=len(todo.not_ready),
        elapsed_s=filled.elapsed_s,
        unexpected=tuple(row for row in read_errors(root, stage) if row.unexpected),
    )


def _num_workers(config: ConsensusConfig) -> int:
    return num_workers_for(config.executor, config.num_workers, num_cpus=config.num_cpus_per_worker, num_gpus=0.0)


def _check_common_queries(root: str, members: Sequence[Member], number: int) -> None:
    """Raise ConfigError if in a shard's first clips that all sets have no query is known to two votes."""
    shards = [read_label_shard(root, member.label_set.name, number) for member in members]
    keys = [key for key in shards[0].entries if all(key in each.entries and each.entries[key].status == "ok" for each in shards)][:_TRIED]
    votes = [member.vote for member in members]
    for key in keys:
        matched = match_queries([shard.tracks(key).queries for shard in shards], votes)
        if len(matched.queries) or not matched.num_left_out:
            return
    if keys:
        asked = "; ".join(f"{member.label_set.name}: {_asked(member.label_set)}" for member in members)
        raise ConfigError(f"no two votes have a query in common in {keys[0]} and other clips ({asked}); {SAME_QUERIES}")


def _asked(label_set: LabelSet) -> str:
    queries = label_set.queries
    return ", ".join(f"{name}={queries[name]}" for name in sorted(queries)) or "queries are not recorded"


def _say_uncalibrated(members: Sequence[Member]) -> None:
    without = [member.audit.name for member in members if member.audit is not None and member.audit.calibration is None]
    if without:
        typer.echo(
            f"note: without a calibration the weights of the audit {' and '.join(without)} are a fallback, not probabilities; they are"
            " taken as they are (jobs/audit.py calibrate fits one, --equal-votes does without weights)",
            err=True,
        )
