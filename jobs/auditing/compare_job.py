"""jobs/audit.py compare without its command line: count both audits, choose canary clips, compare their labels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.auditing.compare_stages import CanaryStage, CountStage
from jobs.console import ProgressLine, counted
from jobs.execution.run import Executor
from pipeline import storage
from pipeline.audit.comparing.canary import CanaryCandidate, relation
from pipeline.audit.comparing.comparison import PairedCounts, compare_audits, merge_counts
from pipeline.audit.comparing.records import ALL_CLIPS, CanaryClip, Comparison
from pipeline.audit.stored.audit_set import AuditSet, read_audit_set
from pipeline.errors import ConfigError, StorageError
from pipeline.labels import read_label_set
from pipeline.layout import Layout, committed

_SHARDS_PER_UNIT = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparingConfig:
    """All that jobs/audit.py compare is asked for."""

    root: str
    first: str  # audit that the other is measured against
    second: str
    executor: Executor
    num_canaries: int = 32

    def __post_init__(self) -> None:
        for name in (self.first, self.second):
            if "/" in name:
                raise ConfigError(
                    f"{name!r} is a path, expected the name of an audit below --root: only audits of one dataset hold the same clips,"
                    " so give both names and the one --root"
                )
        if self.first == self.second:
            raise ConfigError(f"an audit cannot be compared with itself: {self.first} was given twice; name two audits of this root")
        if self.num_canaries < 1:
            raise ConfigError(f"--canary is {self.num_canaries}, expected 1 or more")


def compare_dataset(config: ComparingConfig) -> Comparison:
    """Compare two audits over the clips that both measured.

    Raises: ConfigError for an audit that does not exist, or if they have no clip in common; DataError or StorageError naming the file.
    """
    root = storage.absolute(config.root)
    audits = (read_audit_set(root, config.first), read_audit_set(root, config.second))
    shards = sorted(set().union(*(committed(Layout(root).audit(audit.name)) for audit in audits)))
    with config.executor.session():
        counts = _count(config, root, shards)
        if not counts.num_clips[ALL_CLIPS]:
            raise ConfigError(_nothing_in_common(audits, counts, root))
        sets = (read_label_set(root, audits[0].label_set), read_label_set(root, audits[1].label_set))
        kind = relation(*sets)
        canaries = [] if kind == "same labels" else _canaries(config, root, (sets[0].name, sets[1].name), counts.candidates)
    return compare_audits(audits, counts, canaries, relation=kind)


def _count(config: ComparingConfig, root: str, shards: Sequence[int]) -> PairedCounts:
    runs = {first: tuple(shards[first : first + _SHARDS_PER_UNIT]) for first in range(0, len(shards), _SHARDS_PER_UNIT)}
    stage = CountStage(root=root, audits=(config.first, config.second), runs=runs, num_canaries=config.num_canaries)
    with ProgressLine("comparing", len(shards), "shards") as progress:
        report = config.executor.run(stage, sorted(runs), progress)
    counts = merge_counts((report.results[unit] for unit in sorted(runs)), num_canaries=config.num_canaries)
    if counts.unread:
        shard, why = sorted(counts.unread.items())[0]
        raise StorageError(f"{counted(len(counts.unread), 'shard')} of the audits could not be read; the first, {shard}: {why}")
    return counts


def _canaries(config: ComparingConfig, root: str, label_sets: tuple[str, str], chosen: Sequence[CanaryCandidate]) -> list[CanaryClip]:
    """The canary clips in the order of their choice."""
    keys: dict[int, tuple[str, ...]] = defaultdict(tuple)
    for each in chosen:
        keys[each.shard] += (each.key,)
    stage = CanaryStage(root=root, label_sets=label_sets, keys=dict(keys))
    with ProgressLine("canary clips", len(chosen), "clips") as progress:
        report = config.executor.run(stage, sorted(keys), progress)
    found = {clip.key: clip for clips in report.results.values() for clip in clips}
    return [found[each.key] for each in chosen if each.key in found]


def _nothing_in_common(audits: tuple[AuditSet, AuditSet], counts: PairedCounts, root: str) -> str:
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.left_out.items())) or "no audited clip"
    return (
        f"audits {audits[0].name} and {audits[1].name} of {root} have no measured clip in common ({why}); label and audit the same clips"
        " with jobs/pseudolabel.py and jobs/audit.py run"
    )
