"""Records of a published table: which clips of which dataset are measured, how, and what the paper says beside it."""

from dataclasses import dataclass

from jobs.evaluating.frame_choice import FrameChoice
from pipeline.errors import ConfigError
from trainer.evaluation import MEASURES, EvaluationSettings, Measure

_BY_NAME = {measure.name: measure for measure in MEASURES}
_LENGTHS = ("accuracy_", "completion_", "ate", "rpe_trans")  # beginnings of the names of measures in the truth's unit


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipProtocol:
    """How the clips of one dataset are measured."""

    dataset: str  # its name in --root
    origin: str  # where these numbers are from
    settings: EvaluationSettings
    frames: FrameChoice = FrameChoice()
    split: str | None = None  # train | val | test; None takes all
    sources: tuple[str, ...] = ("*",)  # patterns of the names of sequences
    whole: bool = True  # a clip is a whole recording; False: any clip that begins where it may


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """A row of the paper, as it is printed there."""

    name: str
    values: tuple[float, ...]  # one a measure of the section


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Columns of a table that one protocol fills."""

    title: str
    protocol: ClipProtocol
    measures: tuple[str, ...]  # names of MEASURES
    published: tuple[PublishedRow, ...] = ()  # none: the paper's numbers are not at hand
    millimetres: bool = False  # lengths are printed so; shards hold metres

    def __post_init__(self) -> None:
        unknown = [name for name in self.measures if name not in _BY_NAME]
        wrong = [row.name for row in self.published if len(row.values) != len(self.measures)]
        if unknown or wrong:
            raise ConfigError(
                f"section {self.title}: no measure {', '.join(unknown) or '-'}; rows of another length: {', '.join(wrong) or '-'}"
            )

    @property
    def columns(self) -> tuple[Measure, ...]:
        """The measures."""
        return tuple(_BY_NAME[name] for name in self.measures)

    def printed(self, measure: Measure, value: float) -> float:
        """A value as the paper prints it: fractions times 100, lengths in the section's unit."""
        if measure.percent:
            return 100 * value
        return 1000 * value if self.millimetres and measure.name.startswith(_LENGTHS) else value


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperTable:
    """One table of the paper."""

    number: int
    title: str
    sections: tuple[Section, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of its datasets, in the order of the sections."""
        return tuple(dict.fromkeys(section.protocol.dataset for section in self.sections))
