"""jobs/evaluate.py table without its command line: the sections of one of the paper's tables whose datasets are there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jobs.evaluating.model_job import ModelEvaluatingConfig, ModelEvaluation, SubjectScores, evaluate_models
from jobs.evaluating.paper_records import ClipProtocol, PaperTable, Section
from jobs.evaluating.paper_tables import DATASETS, TABLES
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.layout import Layout
from pipeline.metrics.averages import DefinedMean
from pipeline.tables import read_document
from trainer.evaluation import summarise


@dataclass(frozen=True, kw_only=True, slots=True)
class TableConfig:
    """All that jobs/evaluate.py table is asked for."""

    number: int  # of the paper's table
    checkpoints: tuple[str, ...]
    roots: Mapping[str, str]  # name of a dataset -> root of its converted clips
    pixels: int | None = None  # of a frame, at most; None: as the protocol has it
    device: str = "auto"
    precision: str = "auto"
    out: str | None = None  # folder; None: an evaluation that is killed begins anew
    executor: Executor = Executor(name="inline", limits=Limits())
    num_gpus_per_worker: float = 0.0  # on Ray

    def __post_init__(self) -> None:
        if self.number not in TABLES:
            raise ConfigError(f"there is no table {self.number}; known are {', '.join(map(str, TABLES))}")
        unknown = [name for name in self.roots if name not in DATASETS]
        if unknown:
            raise ConfigError(f"--root {', '.join(unknown)}: no such dataset; known are {', '.join(DATASETS)}")
        if not set(self.table.datasets) & set(self.roots):
            needed = " ".join(f"--root {name}=PATH" for name in self.table.datasets)
            raise ConfigError(f"table {self.number} has no dataset to be measured on; give one or more of {needed}")

    @property
    def table(self) -> PaperTable:
        """What is filled."""
        return TABLES[self.number]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeasuredSection:
    """One section, and what was found; None where its dataset was not given."""

    section: Section
    evaluation: ModelEvaluation | None

    def values(self, subject: SubjectScores) -> dict[str, DefinedMean]:
        """One checkpoint's values by measure, as the paper prints them."""
        means = summarise(subject.clips)
        return {
            measure.name: replace(means[measure.name], value=self.section.printed(measure, means[measure.name].value))
            for measure in self.section.columns
        }


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TableEvaluation:
    """The outcome."""

    config: TableConfig
    sections: tuple[MeasuredSection, ...]

    @property
    def evaluations(self) -> tuple[ModelEvaluation, ...]:
        """Those that were made."""
        return tuple(one.evaluation for one in self.sections if one.evaluation is not None)


def evaluate_table(config: TableConfig) -> TableEvaluation:
    """Measure checkpoints by the protocols of a table, one after the other.

    Raises: ConfigError for a root that holds no clips of a protocol, or sequences in pieces; otherwise as `evaluate_models`.
    """
    for name in config.table.datasets:
        if name in config.roots:
            _check_whole(config, name)
    return TableEvaluation(
        config=config,
        sections=tuple(
            MeasuredSection(section=section, evaluation=_measured(config, section.protocol)) for section in config.table.sections
        ),
    )


def _check_whole(config: TableConfig, name: str) -> None:
    """Refuse a dataset whose recordings were cut into clips, where the protocol is of whole ones."""
    root = config.roots[name]
    document = Layout(storage.absolute(root)).dataset
    policy = read_document(document, "dataset").get("policy") if storage.exists(document) else None
    length = policy.get("clip_frames", 0) if isinstance(policy, dict) else 0
    if length and any(section.protocol.whole for section in config.table.sections if section.protocol.dataset == name):
        raise ConfigError(
            f"--root {name}={root}: its recordings were cut into clips of {length} frames, table {config.number} is of whole ones;"
            " convert it with --clip-frames 0"
        )


def _measured(config: TableConfig, protocol: ClipProtocol) -> ModelEvaluation | None:
    root = config.roots.get(protocol.dataset)
    if root is None:
        return None
    settings = protocol.settings
    if config.pixels is not None:
        settings = replace(settings, pixel_budget=config.pixels, long_side=None)
    try:
        return evaluate_models(
            ModelEvaluatingConfig(
                root=root,
                checkpoints=config.checkpoints,
                split=protocol.split,
                num_frames=None,
                frames=protocol.frames,
                sources=protocol.sources,
                settings=settings,
                device=config.device,
                precision=config.precision,
                out=None if config.out is None else storage.join(config.out, protocol.dataset),
                executor=config.executor,
                num_gpus_per_worker=config.num_gpus_per_worker,
            )
        )
    except ConfigError as error:
        raise ConfigError(f"--root {protocol.dataset}={root}: {error}") from error
