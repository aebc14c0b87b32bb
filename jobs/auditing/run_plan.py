"""Plan of an audit: its identity, the shards that lack it, and what its workers need."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from jobs.auditing.backward import BackwardLabeler, labeler_of
from jobs.auditing.calibrations import ChosenCalibration, choose_calibration
from jobs.console import counted
from jobs.execution.missing import ShardsToDo, shards_to_do
from jobs.execution.run import Executor
from pipeline import storage
from pipeline.audit.labelled_clips import AuditSettings
from pipeline.audit.stored.audit_set import CYCLES, AuditSet
from pipeline.audit.tracks.measure import MEASURES_VERSION
from pipeline.audit.verdict import ClipRules
from pipeline.audit.weights import FALLBACK_VERSION
from pipeline.errors import ConfigError, StorageError
from pipeline.labels import labelled_shards, read_label_set
from pipeline.layout import Layout, committed
from pipeline.records import LabelSet, TrackLabels
from pipeline.shards.plan import plan_uris
from pipeline.tables import read_document


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditingConfig:
    """All that jobs/audit.py run is asked for."""

    root: str
    label_set: str
    executor: Executor
    name: str | None = None  # None: the label set's
    calibration: str = "auto"  # auto | none | a file
    cycle: str | None = None  # None: stored where the labels hold it, else none
    checkpoint: str | None = None  # of the labeler, for cycle retrack
    second: str | None = None
    baseline: str | None = None  # another audit of this root, or a summary.json
    rules: ClipRules = ClipRules()

    def __post_init__(self) -> None:
        if self.cycle is not None and self.cycle not in CYCLES:
            raise ConfigError(f"--cycle is {self.cycle!r}, expected one of {', '.join(CYCLES)}")
        if self.name is not None and ("/" in self.name or self.name.startswith(".") or not self.name):
            raise ConfigError(f"--name is {self.name!r}, expected the name of a folder below audit/")
        if self.second == self.label_set:
            raise ConfigError("--second is the label set itself; a second opinion must come from another one")
        if self.checkpoint is not None and self.cycle != "retrack":
            raise ConfigError("--checkpoint is for --cycle retrack, where the labeler works again; leave it away")

    @property
    def audit_name(self) -> str:
        """Name of the audit."""
        return self.name or self.label_set


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPlan:
    """Work of an audit."""

    audit: AuditSet
    label_set: LabelSet
    settings: AuditSettings
    calibration: ChosenCalibration
    track_backward: BackwardLabeler | None
    shards: tuple[int, ...]  # that are labelled, ascending
    missing: tuple[int, ...]  # of these, not audited yet, or to be audited again
    sizes: Mapping[int, int]  # shard -> planned clips
    not_labelled: int  # shards that are cut


def plan_audit(config: AuditingConfig) -> AuditPlan:
    """Look at what is there. Raises: ConfigError, StorageError for a label file without its shard."""
    root = storage.absolute(config.root)
    if not plan_uris(root):
        raise ConfigError(f"{root} holds no plan; make it with jobs/shard.py first, or check --root")
    label_set = read_label_set(root, config.label_set, kind=TrackLabels.kind)
    name, layout = config.audit_name, Layout(root)
    todo = shards_to_do(root, needs=layout.label_set(config.label_set), makes=layout.audit(name), errors=f"audit/{name}")
    shards, not_labelled = todo.ready, _num_not_labelled(root, config.label_set, todo)
    if config.second is not None:
        _check_second(root, config.second, shards)
    screen = _screen(root, shards)
    cycle = config.cycle or ("stored" if label_set.configuration.get("cycle") else "none")
    track_backward = BackwardLabeler(label_set, config.checkpoint) if cycle == "retrack" else None
    if track_backward is not None:
        labeler_of(label_set, config.checkpoint)  # refuse before any worker starts
    calibration = choose_calibration(config.calibration, label_set, cycle)
    audit = _audit_set(config, label_set, cycle, screen, calibration)
    return AuditPlan(
        audit=audit,
        label_set=label_set,
        settings=AuditSettings(
            root=root,
            audit=audit.name,
            label_set=config.label_set,
            rules=config.rules,
            calibration=None if calibration.record is None else calibration.record.calibration,
            cycle=cycle,
            second=config.second,
            screened=screen is not None,
        ),
        calibration=calibration,
        track_backward=track_backward,
        shards=shards,
        missing=todo.missing,
        sizes=todo.sizes,
        not_labelled=not_labelled,
    )


def _audit_set(
    config: AuditingConfig, label_set: LabelSet, cycle: str, screen: Mapping[str, object] | None, calibration: ChosenCalibration
) -> AuditSet:
    record = calibration.record
    return AuditSet(
        name=config.audit_name,
        label_set=config.label_set,
        labeler=label_set.labeler,
        checkpoint_sha256=label_set.checkpoint_sha256,
        measures=MEASURES_VERSION,
        weights=FALLBACK_VERSION if record is None else record.calibration.version,
        rules=asdict(config.rules),
        screen=screen,
        calibration=calibration.document,
        cycle=cycle,
        second=config.second,
    )


def _num_not_labelled(root: str, label_set: str, todo: ShardsToDo) -> int:
    """Number of shards cut and not labelled yet. Raises: ConfigError if none is labelled, StorageError for labels without their shard."""
    labelled, cut = {*todo.ready}, {*todo.sizes} & committed(Layout(root).shards)
    if not labelled:
        raise ConfigError(f"label set {label_set} holds no labels yet; run jobs/pseudolabel.py first")
    lost = sorted(labelled - cut)
    if lost:
        raise StorageError(
            f"{counted(len(lost), 'labelled shard')} cannot be found, the first is {Layout(root).shard_index(lost[0])}; restore them, or"
            " cut them again with jobs/shard.py"
        )
    return len(cut - labelled)


def _check_second(root: str, second: str, shards: tuple[int, ...]) -> None:
    read_label_set(root, second, kind=TrackLabels.kind)
    missing = sorted({*shards} - {*labelled_shards(root, second)})
    if missing:
        raise ConfigError(
            f"--second {second} lacks {len(missing)} of {counted(len(shards), 'shard')}, the first is {missing[0]:06d}; finish that"
            " label set with jobs/pseudolabel.py, or leave --second away"
        )


def _screen(root: str, shards: tuple[int, ...]) -> Mapping[str, object] | None:
    """The screen's rules; None where the dataset is not screened. Raises: ConfigError if only a part of it is."""
    if not storage.exists(Layout(root).screen_rules):
        return None
    missing = sorted({*shards} - committed(Layout(root).screen))
    if missing:
        raise ConfigError(
            f"{root}: {len(missing)} of {counted(len(shards), 'labelled shard')} not screened yet, the first is {missing[0]:06d}; run"
            f" python jobs/audit.py screen --root {root}"
        )
    found = read_document(Layout(root).screen_rules, "screen")
    return {name: found.get(name) for name in ("measures", "rules")}
